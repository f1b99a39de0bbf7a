package expo

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

// sameBits compares float64s by their bits, all NaNs being one.
func sameBits() cmp.Option {
	return cmp.Comparer(func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
	})
}

// corpus reads a scrape of testdata.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus", name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".gz") {
		return data
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

func corpusNames() []string { return []string{"node-1.txt.gz", "node-2.txt.gz", "prometheus.txt.gz"} }

// target returns the labels of a target.
func target() []scrape.Label {
	return []scrape.Label{{Name: "instance", Value: "host:9100"}, {Name: "job", Value: "node"}}
}

func labels(pairs ...string) []scrape.Label {
	var out []scrape.Label
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, scrape.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// series returns a series named name.
func series(kind, name string, pairs ...string) scrape.Series {
	return scrape.Series{Type: kind, Help: "Help of " + name + ".", Labels: append(labels(scrape.MetricName, name), labels(pairs...)...)}
}

func render(t testing.TB, schema *scrape.Schema, s *scrape.Scrape) (*Template, string) {
	t.Helper()
	template := NewTemplate(schema)
	text, err := template.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return template, string(text)
}

// samplesOf returns the samples that a text of the scrape must say, for a schema without duplicate label names.
func samplesOf(schema *scrape.Schema, s *scrape.Scrape) []Sample {
	var out []Sample
	stamps := s.Stamps
	for i := range schema.Series {
		sample := Sample{Labels: slices.Clone(schema.Series[i].Labels), Value: s.Values[i]}
		slices.SortFunc(sample.Labels, byName)
		if len(stamps) > 0 && int(stamps[0].Index) == i {
			sample.Time, sample.HasTime = stamps[0].Time, stamps[0].Time != s.Time
			if !sample.HasTime {
				sample.Time = 0
			}
			stamps = stamps[1:]
		}
		if schema.Series[i].Name() != "" {
			out = append(out, sample)
		}
	}
	return out
}
