package expo

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/prometheus/model/textparse"

	"github.com/zstats/zstats/pkg/scrape"
)

// Sample is one sample of a text.
type Sample struct {
	// Labels are sorted by name, scrape.MetricName among them.
	Labels []scrape.Label
	Value  float64
	// Time is the sample's own time in milliseconds since the Unix epoch, if HasTime is set.
	Time    int64
	HasTime bool
}

// ReadText reads what a Template has rendered with textparse: its samples in order, with the common labels, which the text
// leaves out, put back. The samples share no memory with data.
func ReadText(data []byte, common []scrape.Label) ([]Sample, error) {
	parser := textparse.NewPromParser(data[:len(data):len(data)], nil, false)
	var samples []Sample
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return samples, nil
		}
		if err != nil {
			return nil, fmt.Errorf("expo: read text after %d samples: %w", len(samples), err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		raw, at, value := parser.Series()
		sample := Sample{Labels: withCommon(appendSeriesLabels(nil, string(raw)), common), Value: value}
		if at != nil {
			sample.Time, sample.HasTime = *at, true
		}
		samples = append(samples, sample)
	}
}

// withCommon merges the labels of a line with those that all lines have, by name.
func withCommon(labels, common []scrape.Label) []scrape.Label {
	own := labels
	for _, l := range common {
		if indexLabel(own, 0, l.Name) < 0 {
			labels = append(labels, l)
		}
	}
	slices.SortStableFunc(labels, byName)
	return labels
}
