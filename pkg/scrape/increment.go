package scrape

import (
	"math"
	"slices"
)

// Delta is the difference that a collector sends for a value: one float64 subtraction, which may round.
func Delta(previous, next float64) float64 { return next - previous }

// Increment returns the incremental blob that the reference collector sends for next after prev (zstats v1, section 4),
// or nil if the two have different schemas. A sample is left out if its time is next's own and its value equals the
// previous one: two NaNs are equal, and so are -0 and +0.
//
// What the blob rebuilds may differ from next: a collector learns that by folding it into its own copy of the state.
func Increment(prev, next *Scrape) *Blob {
	if prev.Schema != next.Schema || len(prev.Values) != len(next.Values) {
		return nil
	}
	b := &Blob{Generation: next.Generation, Time: next.Time, Samples: len(next.Values)}
	before, now := times{scrape: prev}, times{scrape: next}
	for i, v := range next.Values {
		p, t := prev.Values[i], now.at(int32(i))
		if t == next.Time && (v == p || v != v && p != p) {
			continue
		}
		b.Index = append(b.Index, int32(i))
		b.Values = append(b.Values, Delta(p, v))
		b.Times = append(b.Times, t-before.at(int32(i)))
	}
	return b
}

// times reads the times of a scrape's samples at ascending positions.
type times struct {
	scrape *Scrape
	behind int // stamps before the position read last
}

func (t *times) at(i int32) int64 {
	list := t.scrape.Stamps
	for t.behind < len(list) && list[t.behind].Index < i {
		t.behind++
	}
	if t.behind < len(list) && list[t.behind].Index == i {
		return list[t.behind].Time
	}
	return t.scrape.Time
}

// Equal reports whether s and o hold the same samples: schema, times, and values to the last bit. -0 differs from +0, but
// one NaN is like another, as no text tells them apart. How the scrapes travelled is not compared: generation, epoch,
// time of receipt, form, and which values are inferred.
func (s *Scrape) Equal(o *Scrape) bool {
	return s.Schema == o.Schema && s.Time == o.Time && slices.Equal(s.Stamps, o.Stamps) &&
		slices.EqualFunc(s.Values, o.Values, sameValue)
}

func sameValue(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}
