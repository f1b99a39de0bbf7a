package reading

import (
	"math"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// Kind is how a series differs.
type Kind string

// The kinds.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Change is a series that differs between two scrapes.
type Change struct {
	Kind Kind
	// Labels are sorted by name, the metric's name among them.
	Labels []scrape.Label
	// Old is not set if the series was added, New if it was removed.
	Old, New float64
}

// Delta returns the difference of the values.
func (c Change) Delta() float64 { return c.New - c.Old }

// Difference is how two scrapes differ.
type Difference struct {
	// Changes are in the order of the new scrape, then the removed series in that of the old one.
	Changes                       []Change
	Added, Removed, Changed, Same int
}

// Compare compares the series of two scrapes by their labels. A value is the same if it is the same float64, and NaN is NaN; times
// are not compared. Of several samples with the same labels the first ones are compared with each other, then the second
// ones, and so on.
func Compare(old, new []expo.Sample) Difference {
	var d Difference
	before := index(old)
	for _, s := range new {
		key := keyOf(s.Labels)
		at := before[key]
		if len(at) == 0 {
			d.Added++
			d.Changes = append(d.Changes, Change{Kind: Added, Labels: s.Labels, New: s.Value})
			continue
		}
		before[key] = at[1:]
		if was := old[at[0]].Value; !same(was, s.Value) {
			d.Changed++
			d.Changes = append(d.Changes, Change{Kind: Changed, Labels: s.Labels, Old: was, New: s.Value})
			continue
		}
		d.Same++
	}
	for i, s := range old {
		if at := before[keyOf(s.Labels)]; len(at) > 0 && at[0] <= i {
			d.Removed++
			d.Changes = append(d.Changes, Change{Kind: Removed, Labels: s.Labels, Old: s.Value})
		}
	}
	return d
}

// index returns where each series is.
func index(samples []expo.Sample) map[string][]int {
	at := make(map[string][]int, len(samples))
	for i, s := range samples {
		key := keyOf(s.Labels)
		at[key] = append(at[key], i)
	}
	return at
}

// keyOf returns what tells labels apart. No valid UTF-8 has a byte of 0xff.
func keyOf(labels []scrape.Label) string {
	n := 0
	for _, l := range labels {
		n += len(l.Name) + len(l.Value) + 2
	}
	key := make([]byte, 0, n)
	for _, l := range labels {
		key = append(append(key, l.Name...), 0xff)
		key = append(append(key, l.Value...), 0xff)
	}
	return string(key)
}

func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}
