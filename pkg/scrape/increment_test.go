package scrape

import (
	"math"
	"testing"
)

func TestIncrement(t *testing.T) {
	prev := &Scrape{
		Generation: 7, Time: 1000,
		Values: []float64{1, 2, 3, nan, 0, inf, 6, nan, 8},
		Stamps: []Stamp{{2, 900}, {6, 950}},
	}
	next := &Scrape{
		Generation: 8, Time: 2000,
		Values: []float64{1, 2.5, 3, math.Float64frombits(0x7ff8000000000123), negativeZero, inf, 6, 5, 8},
		Stamps: []Stamp{{1, 1900}, {2, 1950}, {8, 1990}},
	}
	mustEqual(t, "blob", Increment(prev, next), &Blob{
		Generation: 8, Time: 2000, Samples: 9,
		Index: []int32{1, 2, 7, 8}, // not 3, NaN as before; 4, a zero as before; 5, infinite as before; 6, at its scrape's time
		Values: []float64{
			0.5, 0, nanMinus(5), 0,
		},
		Times: []int64{900, 1050, 1000, 990},
	})
}

// nanMinus returns 5 - NaN with the bits that this machine gives it.
func nanMinus(v float64) float64 { return v - nan }

func TestIncrementNeedsOneSchema(t *testing.T) {
	a, b := accept(t, full(1, 0, 1, 2)), accept(t, full(2, 0, 1, 2, 3))
	if got := Increment(&a.Scrape, &b.Scrape); got != nil {
		t.Errorf("an increment from one schema to another: %+v", got)
	}
	if got := Increment(&Scrape{Values: []float64{1}}, &Scrape{}); got != nil {
		t.Errorf("an increment from one length to another: %+v", got)
	}
}

func TestEqual(t *testing.T) {
	base := func() *Scrape {
		return &Scrape{
			Generation: 1, Time: 2, Epoch: 3, Received: 4, Schema: Hash{5},
			Values: []float64{0, 1, nan}, Stamps: []Stamp{{1, 7}},
		}
	}
	tests := []struct {
		name   string
		change func(s *Scrape)
		want   bool
	}{
		{"nothing", func(*Scrape) {}, true},
		{"how it travelled", func(s *Scrape) {
			s.Generation, s.Epoch, s.Received, s.Full, s.Inferred = 9, 9, 9, true, []int32{1}
		}, true},
		{"another NaN", func(s *Scrape) { s.Values[2] = math.Float64frombits(0xfff8000000000123) }, true},
		{"sign of zero", func(s *Scrape) { s.Values[0] = negativeZero }, false},
		{"last bit", func(s *Scrape) { s.Values[1] = math.Nextafter(1, 2) }, false},
		{"NaN", func(s *Scrape) { s.Values[1] = nan }, false},
		{"length", func(s *Scrape) { s.Values = s.Values[:2] }, false},
		{"time", func(s *Scrape) { s.Time++ }, false},
		{"time of a sample", func(s *Scrape) { s.Stamps[0].Time++ }, false},
		{"position of a time", func(s *Scrape) { s.Stamps[0].Index++ }, false},
		{"schema", func(s *Scrape) { s.Schema[0]++ }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			other := base()
			test.change(other)
			if base().Equal(other) != test.want || other.Equal(base()) != test.want {
				t.Errorf("want equal: %v", test.want)
			}
		})
	}
}
