package reading

import (
	"github.com/zstats/zstats/pkg/archive"
)

// Summary sums up the scrapes of a target, or of several.
type Summary struct {
	Targets int
	Scrapes int
	// First and Last are epochs, in microseconds since the Unix epoch; 0 without scrapes.
	First, Last int64
	// Bytes is the size of the files, estimated from some of them if Estimated is set.
	Bytes     int64
	Estimated bool
}

// measured is how many scrapes of a target are looked at to estimate the size of all.
const measured = 32

// Summarize sums up a target's scrapes in a range. Only names are read, and the sizes of a few scrapes that lie evenly among
// the others; with exact set, those of all.
func (t Tree) Summarize(target Target, r Range, exact bool) (Summary, error) {
	epochs, err := t.Epochs(target, r)
	if err != nil || len(epochs) == 0 {
		return Summary{}, err
	}
	s := Summary{Targets: 1, Scrapes: len(epochs), First: epochs[0], Last: epochs[len(epochs)-1]}
	n := len(epochs)
	if s.Estimated = n > measured && !exact; s.Estimated {
		n = measured
	}
	found := 0
	for i := range n {
		// A scrape that is gone meanwhile has no size.
		sizes, err := archive.Stat(t.FS, archive.PathsIn(target.Dir, epochs[i*len(epochs)/n]))
		if err == nil {
			s.Bytes += sizes.Total()
			found++
		}
	}
	if s.Estimated && found > 0 {
		s.Bytes = int64(float64(s.Bytes) / float64(found) * float64(len(epochs)))
	}
	return s, nil
}

// Add adds another summary.
func (s *Summary) Add(o Summary) {
	if o.Scrapes == 0 {
		return
	}
	if s.Scrapes == 0 || o.First < s.First {
		s.First = o.First
	}
	s.Last = max(s.Last, o.Last)
	s.Targets += o.Targets
	s.Scrapes += o.Scrapes
	s.Bytes += o.Bytes
	s.Estimated = s.Estimated || o.Estimated
}
