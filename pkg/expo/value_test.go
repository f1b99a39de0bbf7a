package expo

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"testing"
)

func TestAppendValue(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0.000000"},
		{math.Copysign(0, -1), "-0.000000"},
		{3046, "3046.000000"},
		{-17, "-17.000000"},
		{0.1, "0.100000"},
		{-0.1, "-0.100000"},
		{0.000001, "0.000001"},
		{-0.000001, "-0.000001"},
		{0.0000001, "1e-07"},
		{1.23456789e-9, "1.23456789e-09"},
		{0.30000000000000004, "0.30000000000000004"},
		{1.0 / 3, "0.3333333333333333"},
		{99.999999, "99.999999"},
		{1.9999995, "1.9999995"},
		{1795333095.004, "1795333095.004000"},
		{1.795333095004e12 + 0.25, "1795333095004.250000"},
		{1 << 51, "2251799813685248.000000"},
		{1<<51 + 0.5, "2251799813685248.500000"},
		{1<<53 - 1, "9007199254740991.000000"},
		{1 << 53, "9.007199254740992e+15"},
		{-(1 << 53), "-9.007199254740992e+15"},
		{-(1<<53 - 1), "-9007199254740991.000000"},
		{1 << 63, "9.223372036854776e+18"},
		{-(1 << 63), "-9.223372036854776e+18"},
		{1e22, "1e+22"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{math.SmallestNonzeroFloat64, "5e-324"},
		{-math.SmallestNonzeroFloat64, "-5e-324"},
		{math.NaN(), "NaN"},
		{math.Float64frombits(0x7ff0000000000002), "NaN"},
		{math.Inf(1), "+Inf"},
		{math.Inf(-1), "-Inf"},
	} {
		t.Run(c.want, func(t *testing.T) {
			if got := string(AppendValue(nil, c.v)); got != c.want {
				t.Errorf("AppendValue(%v) = %s, want %s", c.v, got, c.want)
			}
		})
	}
}

// slowValue is the rule in its plainest form.
func slowValue(v float64) string {
	if math.Abs(v) < 1<<53 {
		six := fmt.Sprintf("%f", v)
		if back, err := strconv.ParseFloat(six, 64); err == nil && math.Float64bits(back) == math.Float64bits(v) {
			return six
		}
	}
	return strings.Replace(strconv.FormatFloat(v, 'g', -1, 64), "+NaN", "NaN", 1)
}

func checkValue(t *testing.T, v float64) {
	t.Helper()
	got := string(AppendValue(nil, v))
	if want := slowValue(v); got != want {
		t.Fatalf("AppendValue(%v, bits %#x) = %s, want %s", v, math.Float64bits(v), got, want)
	}
	back, err := strconv.ParseFloat(got, 64)
	if err != nil || math.Float64bits(back) != math.Float64bits(v) && !math.IsNaN(v) {
		t.Fatalf("AppendValue(%v) = %s, which parses to %v, %v", v, got, back, err)
	}
}

func TestAppendValueProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	for range 50_000 {
		checkValue(t, math.Float64frombits(random.Uint64()))
		// Decimals of few digits at all magnitudes that six decimals matter for, and their neighbours.
		v := float64(random.Int63n(1<<uint(1+random.Intn(62)))) / math.Pow10(random.Intn(9))
		checkValue(t, v)
		checkValue(t, -v)
		checkValue(t, math.Nextafter(v, math.Inf(1)))
		checkValue(t, math.Nextafter(v, math.Inf(-1)))
	}
}

func FuzzAppendValue(f *testing.F) {
	for _, v := range []float64{0, 1, 0.1, 1e22, 1795333095.004, 1 << 51, math.Inf(1), math.NaN()} {
		f.Add(v)
	}
	f.Fuzz(checkValue)
}

func BenchmarkAppendValue(b *testing.B) {
	for _, v := range []float64{3046, 0.25, 1795333095.004, 1.0 / 3, 1e22} {
		b.Run(string(AppendValue(nil, v)), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 64)
			for b.Loop() {
				buf = AppendValue(buf[:0], v)
			}
		})
	}
}
