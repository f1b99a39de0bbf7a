package expo

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCodeLengths(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []int
		limit   int
		want    []uint8
	}{
		{"nothing", []int{0, 0}, 15, []uint8{0, 0}},
		{"one", []int{0, 7}, 15, []uint8{0, 1}},
		{"two", []int{1, 1000}, 15, []uint8{1, 1}},
		{"unlimited", []int{1, 1, 2, 4, 8}, 15, []uint8{4, 4, 3, 2, 1}},
		{"limited", []int{1, 1, 2, 4, 8}, 3, []uint8{3, 3, 3, 3, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, codeLengths(c.weights, c.limit)); diff != "" {
				t.Errorf("lengths differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCodeLengthsAreComplete checks that each symbol with a weight has a code within the limit, and that no code is left over:
// decoders refuse incomplete sets.
func TestCodeLengthsAreComplete(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	for range 500 {
		limit := []int{maxCodeLengthLen, maxCodeBits}[random.Intn(2)]
		weights := make([]int, 2+random.Intn(100))
		weights[0], weights[1] = 1, 1
		for i := range weights {
			if random.Intn(3) > 0 {
				weights[i] += 1 << random.Intn(40)
			}
		}
		sum := 0
		for i, n := range codeLengths(weights, limit) {
			if (n > 0) != (weights[i] > 0) || int(n) > limit {
				t.Fatalf("weights %v: length %d at %d", weights, n, i)
			}
			if n > 0 {
				sum += 1 << (limit - int(n))
			}
		}
		if sum != 1<<limit {
			t.Fatalf("weights %v: %d of %d codes are used", weights, sum, 1<<limit)
		}
	}
}

// TestCanonicalCodes has the example of RFC 1951, section 3.2.2, whose codes are written most significant bit first there.
func TestCanonicalCodes(t *testing.T) {
	var got []uint64
	for _, c := range canonicalCodes([]uint8{3, 3, 3, 3, 3, 2, 4, 4}) {
		got = append(got, c.bits())
	}
	if diff := cmp.Diff([]uint64{0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111}, got); diff != "" {
		t.Errorf("codes differ (-want +got):\n%s", diff)
	}
}

// TestSymbols checks lengths and distances against the tables of RFC 1951, section 3.2.5.
func TestSymbols(t *testing.T) {
	lengths := []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	for length := minMatch; length <= maxMatch; length++ {
		symbol, extra, _ := lengthSymbol(length)
		if lengths[symbol-257]+int(extra) != length {
			t.Errorf("length %d is symbol %d with %d", length, symbol, extra)
		}
	}
	distances := []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	for distance := 1; distance <= maxDistance; distance++ {
		symbol, extra, n := distanceSymbol(distance)
		if distances[symbol]+int(extra) != distance || extra >= 1<<n {
			t.Errorf("distance %d is symbol %d with %d", distance, symbol, extra)
		}
	}
}

func TestLengthRuns(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 2000 {
		lengths := make([]uint8, random.Intn(320))
		for i := range lengths {
			if i > 0 && random.Intn(12) > 0 {
				lengths[i] = lengths[i-1]
			} else if random.Intn(2) > 0 {
				lengths[i] = uint8(random.Intn(16))
			}
		}
		var got []uint8
		for _, r := range lengthRuns(lengths) {
			switch r.symbol {
			case 16:
				got = append(got, slices.Repeat(got[len(got)-1:], int(r.extra)+3)...)
			case 17:
				got = append(got, make([]uint8, int(r.extra)+3)...)
			case 18:
				got = append(got, make([]uint8, int(r.extra)+11)...)
			default:
				got = append(got, r.symbol)
			}
		}
		if !slices.Equal(got, lengths) {
			t.Fatalf("%v is written as %v", lengths, got)
		}
	}
}
