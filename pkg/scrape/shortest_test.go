package scrape

import (
	"math"
	"testing"
)

func TestDecimalOf(t *testing.T) {
	tests := []struct {
		c    float64
		want decimal
	}{
		{1, decimal{1, 0, 1}},
		{10, decimal{1, 1, 1}},
		{0.1, decimal{1, -1, 1}},
		{1234.5, decimal{12345, -1, 5}},
		{0.30000000000000004, decimal{30000000000000004, -17, 17}},
		{smallest, decimal{5, -324, 1}},
		{largest, decimal{17976931348623157, 292, 17}},
		{9007199254740993, decimal{9007199254740992, 0, 16}},
	}
	for _, test := range tests {
		got := decimalOf(test.c)
		if got != test.want {
			t.Errorf("decimalOf(%v) = %v, want %v", test.c, got, test.want)
		}
		if back := got.float(); back != test.c {
			t.Errorf("%v.float() = %v, want %v", got, back, test.c)
		}
	}
}

func TestDecimalFloatIsNearest(t *testing.T) {
	r := newRand(t)
	for range 20_000 {
		c := math.Abs(randomDouble(r, -1022, 1024))
		if r.Intn(2) == 0 {
			c = math.Abs(randomDouble(r, -80, 80))
		}
		if got := decimalOf(c).float(); got != c {
			t.Fatalf("%v comes back as %v", c, got)
		}
	}
	if got := (decimal{2, 308, 1}).float(); got != inf {
		t.Errorf("2e308 is %v, want +Inf", got)
	}
}

func TestDecimalCut(t *testing.T) {
	tests := []struct {
		x               decimal
		n               int
		nearer, farther decimal
	}{
		{decimal{1234, 0, 4}, 2, decimal{12, 2, 2}, decimal{13, 2, 2}},
		{decimal{1267, -3, 4}, 2, decimal{13, -1, 2}, decimal{12, -1, 2}},
		{decimal{125, 0, 3}, 2, decimal{12, 1, 2}, decimal{13, 1, 2}},
		{decimal{996, 0, 3}, 1, decimal{10, 2, 1}, decimal{9, 2, 1}},
	}
	for _, test := range tests {
		nearer, farther := test.x.cut(test.n)
		if nearer != test.nearer || farther != test.farther {
			t.Errorf("%v.cut(%d) = %v, %v; want %v, %v", test.x, test.n, nearer, farther, test.nearer, test.farther)
		}
	}
}
