package scrape

import (
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"strconv"
	"testing"
)

var (
	negativeZero = math.Copysign(0, -1)
	inf          = math.Inf(1)
	nan          = math.NaN()
)

const (
	smallest = math.SmallestNonzeroFloat64
	largest  = math.MaxFloat64
)

func TestRebuild(t *testing.T) {
	tests := []struct {
		name string
		p, d float64
		want float64
		how  certainty
	}{
		{"counter", 3046, 2, 3048, proven},
		{"counter from zero", 0, 17, 17, proven},
		{"down to zero", 5, -5, 0, ambiguous},
		{"down to one, beside a power of two", 2, -1, 1, ambiguous},
		{"one sum of cents", 0.1, Delta(0.1, 0.30000000000000004), 0.30000000000000004, proven},
		{"the smallest doubles", smallest, smallest, 2 * smallest, proven},
		{"both zeros have it", smallest, -smallest, 0, ambiguous},

		{"section 4, first step", 0.1, Delta(0.1, 1e16), 1e16, proven},
		{"section 4, second step", 1e16, Delta(1e16, 3), 4, ambiguous},
		{"section 4, third step", 3, Delta(3, 0.3), 0.3, ambiguous},
		{"from a huge value", 1e300, -1e300, 0, ambiguous},
		{"shortest of many", 1e16, -9999999999999990, 10, ambiguous},
		{"negative", -1e16, 9999999999999990, -10, ambiguous},
		{"gauge after a larger one", 4.6657e-05, Delta(4.6657e-05, 8.002e-06), 8.002e-06, ambiguous},

		{"unchanged", 0.1, 0, 0.1, proven},
		{"unchanged zero", 0, 0, 0, proven},
		{"unchanged negative zero", negativeZero, 0, negativeZero, proven},
		{"zero became negative", 0, negativeZero, negativeZero, proven},
		{"a negative zero as difference of another value", 2, negativeZero, 2, proven},

		{"no such value, beside one", 1, 0x1.0000000000001p-53, 1 + 0x1p-52, contradicted},
		{"no such value, too fine", 1e16, 0.5, 1e16, contradicted},
		{"no such value, overflow", largest, largest, inf, contradicted},
		{"the only value lies beyond the sum's overflow", 0x3p970, largest - 0x1p971, largest, proven},
		{"after infinity", inf, 5, inf, contradicted},
		{"after negative infinity", -inf, 0, -inf, contradicted},
		{"after NaN", nan, 5, nan, contradicted},
		{"unchanged NaN", nan, 0, nan, contradicted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, how := rebuild(test.p, test.d)
			if !sameValue(got, test.want) || how != test.how {
				t.Errorf("rebuild(%v, %v) = %v, %v; want %v, %v", test.p, test.d, got, how, test.want, test.how)
			}
		})
	}
}

// The sum of a previous value and a difference is not always the value that has this difference.
func TestRebuildWhereTheSumIsWrong(t *testing.T) {
	r := newRand(t)
	found := 0
	for range 20_000 {
		p := randomDouble(r, -6, -2)
		d := math.Copysign(math.Ldexp(1, r.Intn(4)), p)
		if p+d-p == d {
			continue
		}
		if _, how := rebuild(p, d); how != contradicted {
			found++
		}
		checkRebuild(t, p, d)
	}
	if found == 0 {
		t.Fatal("no pair found whose sum has another difference")
	}
}

func TestRebuildAgainstEnumeration(t *testing.T) {
	r := newRand(t)
	for range 10_000 {
		p, c := randomDouble(r, -2, 9), randomDouble(r, -2, 2)
		checkRebuild(t, p, c-p)
	}
	for range 2_000 { // values that a target is likely to say
		p, c := float64(r.Intn(1000))/100, float64(r.Intn(1000))/1000
		checkRebuild(t, p, c-p)
	}
	for range 2_000 { // subnormals
		p, c := float64(r.Intn(9)-4)*smallest, float64(r.Intn(9)-4)*smallest
		checkRebuild(t, p, c-p)
	}
}

func TestRebuildAnyDifference(t *testing.T) {
	r := newRand(t)
	empty := 0
	for range 20_000 {
		p, d := randomDouble(r, -30, 30), randomDouble(r, -30, 30)
		_, how := rebuild(p, d)
		low, high, ok := preimage(p, d)
		if ok != (how != contradicted) {
			t.Fatalf("rebuild(%v, %v) is %v; the set is [%v, %v], empty: %v", p, d, how, low, high, !ok)
		}
		if !ok {
			empty++
		}
	}
	if empty == 0 {
		t.Error("no difference without a value was tried")
	}
}

// checkRebuild compares rebuild with the members of the set of doubles c with fl(c-p) == d, one by one.
func checkRebuild(t *testing.T, p, d float64) {
	t.Helper()
	if d == 0 {
		return // settled by the table
	}
	got, how := rebuild(p, d)
	low, high, ok := preimage(p, d)
	if !ok {
		if how != contradicted {
			t.Fatalf("rebuild(%v, %v) = %v, %v, but no double has the difference", p, d, got, how)
		}
		return
	}
	if got-p != d || got < low || got > high {
		t.Fatalf("rebuild(%v, %v) = %v, not in [%v, %v]", p, d, got, low, high)
	}
	if want := map[bool]certainty{true: proven, false: ambiguous}[ordered(low) == ordered(high)]; how != want {
		t.Fatalf("rebuild(%v, %v) is %v, want %v: the set is [%v, %v]", p, d, how, want, low, high)
	}
	if low <= 0 && high >= 0 {
		if got != 0 {
			t.Fatalf("rebuild(%v, %v) = %v, want 0", p, d, got)
		}
		return
	}
	if ordered(high)-ordered(low) > 1<<11 {
		return // too many to go through
	}
	if want := shortestByEnumeration(p, d, low, high); got != want {
		t.Fatalf("rebuild(%v, %v) = %v, want %v of [%v, %v]", p, d, got, want, low, high)
	}
}

// shortestByEnumeration is the rule by its letter: of all members those with the fewest digits, of these the one nearest
// to the member nearest to p+d, of two equally near the one nearer to zero.
func shortestByEnumeration(p, d, low, high float64) float64 {
	middle := decimalRat(min(max(p+d, low), high))
	best, bestDigits, bestDistance := math.NaN(), 99, new(big.Rat)
	for c := low; c <= high; c = math.Nextafter(c, inf) {
		n := digitsOf(c)
		if n > bestDigits {
			continue
		}
		distance := new(big.Rat).Sub(decimalRat(c), middle)
		distance.Abs(distance)
		by := distance.Cmp(bestDistance)
		if n < bestDigits || by < 0 || by == 0 && math.Abs(c) < math.Abs(best) {
			best, bestDigits, bestDistance = c, n, distance
		}
	}
	return best
}

func digitsOf(c float64) int { return decimalOf(math.Abs(c)).length }

func decimalRat(c float64) *big.Rat {
	x, ok := new(big.Rat).SetString(strconv.FormatFloat(c, 'g', -1, 64))
	if !ok {
		panic(fmt.Sprint("not a number: ", c))
	}
	return x
}

// preimage returns the ends of the set of finite doubles c with fl(c-p) == d, found by bisection over all doubles.
func preimage(p, d float64) (low, high float64, ok bool) {
	first, last := ordered(-largest), ordered(largest)
	lowest := bisect(first, last, func(k uint64) bool { return unordered(k)-p >= d })
	behind := bisect(first, last, func(k uint64) bool { return unordered(k)-p > d })
	return unordered(lowest), unordered(behind - 1), lowest < behind
}

// bisect returns the first number in [low, high] for which f holds, high+1 if there is none.
func bisect(low, high uint64, f func(uint64) bool) uint64 {
	high++
	for low < high {
		middle := low + (high-low)/2
		if f(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// ordered numbers the doubles in their order, -0 before +0; unordered is its inverse.
func ordered(c float64) uint64 {
	if bits := math.Float64bits(c); bits>>63 == 0 {
		return bits | 1<<63
	} else {
		return ^bits
	}
}

func unordered(k uint64) float64 {
	if k>>63 == 1 {
		return math.Float64frombits(k &^ (1 << 63))
	}
	return math.Float64frombits(^k)
}

// randomDouble returns a double of either sign, whose binary exponent is in [low, high). Its mantissa is random in all
// bits or in a few.
func randomDouble(r *rand.Rand, low, high int) float64 {
	mantissa := r.Uint64() >> 12
	if r.Intn(3) == 0 {
		mantissa &^= 1<<(52-r.Intn(52)) - 1
	}
	exponent := uint64(1023 + low + r.Intn(high-low))
	return math.Float64frombits(r.Uint64()&(1<<63) | exponent<<52 | mantissa)
}

// newRand returns a source of random numbers that a failed test can be repeated with.
func newRand(t testing.TB) *rand.Rand {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewSource(seed))
}
