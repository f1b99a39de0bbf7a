package deflate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSymbols compares with the tables of RFC 1951, section 3.2.5: the first length or distance of each symbol, and how many
// extra bits tell it from the next.
func TestSymbols(t *testing.T) {
	lengths := []int{
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
	}
	distances := []int{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
		8193, 12289, 16385, 24577,
	}
	for length := minMatch; length <= maxMatch; length++ {
		symbol, extra, _ := lengthSymbol(length)
		if got := lengths[symbol-257] + int(extra); got != length {
			t.Errorf("length %d is written as %d", length, got)
		}
	}
	for distance := 1; distance <= maxDistance; distance++ {
		symbol, extra, n := distanceSymbol(distance)
		if got := distances[symbol] + int(extra); got != distance || extra>>n != 0 {
			t.Errorf("distance %d is written as %d with %d of %d extra bits", distance, got, extra, n)
		}
	}
}

func TestCodesArePrefixFreeAndFull(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	fibonacci := []int{1, 1}
	for len(fibonacci) < 40 {
		n := len(fibonacci)
		fibonacci = append(fibonacci, fibonacci[n-1]+fibonacci[n-2])
	}
	all := [][]int{fibonacci, {0, 5, 0, 7}, {1, 1, 1, 1, 1}, make([]int, 0)}
	for range 100 {
		weights := make([]int, 2+random.IntN(300))
		for i := range weights {
			weights[i] = random.IntN(1 << random.IntN(20))
		}
		all = append(all, weights)
	}
	for _, weights := range all {
		limit := maxCodeLength
		if len(weights) < 100 {
			limit = 7
		}
		used := len(weights) - count(weights, 0)
		if used < 2 {
			continue
		}
		sum := 0
		for symbol, c := range codes(weights, limit) {
			if (c.length > 0) != (weights[symbol] > 0) || int(c.length) > limit {
				t.Fatalf("weights %v: symbol %d has a code of length %d", weights, symbol, c.length)
			}
			if c.length > 0 {
				sum += 1 << (limit - int(c.length))
			}
		}
		if sum != 1<<limit { // Kraft's inequality, met exactly
			t.Errorf("weights %v: codes take %d of %d", weights, sum, 1<<limit)
		}
	}
}

func count(values []int, v int) (n int) {
	for _, x := range values {
		if x == v {
			n++
		}
	}
	return n
}

func TestRunLengths(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var lengths []uint8
		for range 1 + random.IntN(12) {
			lengths = append(lengths, slices.Repeat([]uint8{uint8(max(0, random.IntN(20)-5))}, 1+random.IntN(1<<random.IntN(9)))...)
		}
		var got []uint8
		for _, s := range runLengths(lengths) {
			n := int(s.extra)
			switch s.symbol {
			case 16:
				got = append(got, slices.Repeat(got[len(got)-1:], n+3)...)
			case 17:
				got = append(got, make([]uint8, n+3)...)
			case 18:
				got = append(got, make([]uint8, n+11)...)
			default:
				got = append(got, s.symbol)
			}
			if int(s.extra)>>s.n != 0 {
				t.Fatalf("%+v has more than %d extra bits", s, s.n)
			}
		}
		if diff := cmp.Diff(lengths, got); diff != "" {
			t.Fatal(diff)
		}
	}
}
