package zstatsv1

import "fmt"

// Limits bound what is accepted. Those of a request protect the memory of the process, and exceeding one refuses the
// whole request; those of a blob protect what comes after, and exceeding one refuses that blob alone, so that a single
// odd target costs no other target its scrapes.
type Limits struct {
	// Blobs is the largest number of instances in a request.
	Blobs int
	// TotalSamples is the largest number of samples in all instances of a request.
	TotalSamples int
	// TotalLabels is the largest number of labels on all samples of a request, its optional labels counted among them.
	TotalLabels int

	// Samples is the largest number of samples of a scrape.
	Samples int
	// Labels is the largest number of labels on one sample.
	Labels int
	// OptionalLabels is the largest number of optional labels of a scrape.
	OptionalLabels int
	// StringBytes is the largest length of a label's name or value and of a HELP text.
	StringBytes int
}

// DefaultLimits let a full scrape of 1,000,000 series pass, 200 full scrapes of 20,000 series with 6 labels each in one request,
// and a request of 4,096 blobs.
func DefaultLimits() Limits {
	return Limits{
		Blobs:          4096,
		TotalSamples:   5_000_000,
		TotalLabels:    24_000_000,
		Samples:        1_000_000,
		Labels:         256,
		OptionalLabels: 1024,
		StringBytes:    64 << 10,
	}
}

// Validate reports the first limit that is not positive.
func (l Limits) Validate() error {
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"Blobs", l.Blobs},
		{"TotalSamples", l.TotalSamples},
		{"TotalLabels", l.TotalLabels},
		{"Samples", l.Samples},
		{"Labels", l.Labels},
		{"OptionalLabels", l.OptionalLabels},
		{"StringBytes", l.StringBytes},
	} {
		if limit.value <= 0 {
			return fmt.Errorf("limit %s is %d, it must be positive", limit.name, limit.value)
		}
	}
	return nil
}

const (
	// maxTypes and maxFields bound the type definitions of a stream; the wire itself has 8 types with 24 fields.
	maxTypes  = 128
	maxFields = 1024
	// maxDepth bounds how deep the values of unknown fields may nest.
	maxDepth = 64
)
