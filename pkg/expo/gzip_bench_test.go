package expo

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/scrape"
)

// BenchmarkGzip compares AppendGzip with what it replaces: Append and a compressor that knows nothing of the schema.
func BenchmarkGzip(b *testing.B) {
	node, nodeValues := nodeScrape(b)
	large, largeValues := largeScrape()
	for _, c := range []struct {
		name   string
		schema *scrape.Schema
		s      *scrape.Scrape
	}{{"node-532", node, nodeValues}, {"large-21000", large, largeValues}} {
		b.Run(c.name+"/spliced", func(b *testing.B) { benchmarkSpliced(b, NewTemplate(c.schema), c.s) })
		b.Run(c.name+"/level-1", func(b *testing.B) { benchmarkLevel1(b, NewTemplate(c.schema), c.s) })
	}
}

func benchmarkSpliced(b *testing.B, t *Template, s *scrape.Scrape) {
	t.PrepareGzip()
	var compressor Compressor
	var data []byte
	var size int
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if data, size, err = t.AppendGzip(data[:0], s, &compressor); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(size))
	b.ReportMetric(float64(len(data)), "gz-B")
	b.ReportMetric(float64(t.gzip.plan.Load().size())/float64(t.Written()), "plan-B/series")
}

func benchmarkLevel1(b *testing.B, t *Template, s *scrape.Scrape) {
	var text []byte
	var data bytes.Buffer
	z, err := gzip.NewWriterLevel(&data, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if text, err = t.Append(text[:0], s); err != nil {
			b.Fatal(err)
		}
		data.Reset()
		z.Reset(&data)
		if _, err := z.Write(text); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(text)))
	b.ReportMetric(float64(data.Len()), "gz-B")
}

// BenchmarkPrepareGzip is what a schema costs that was not seen before.
func BenchmarkPrepareGzip(b *testing.B) {
	node, _ := nodeScrape(b)
	large, _ := largeScrape()
	for name, schema := range map[string]*scrape.Schema{"node-532": node, "large-21000": large} {
		t := NewTemplate(schema)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newDeflatePlan(t)
			}
		})
	}
}
