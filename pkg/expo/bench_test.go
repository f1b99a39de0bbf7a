package expo

import (
	"fmt"
	"math/rand"
	"strconv"
	"testing"

	"github.com/zstats/zstats/pkg/scrape"
)

// nodeScrape is the corpus' node scrape of 532 series.
func nodeScrape(b *testing.B) (*scrape.Schema, *scrape.Scrape) {
	b.Helper()
	schema, s, err := Parse(corpus(b, "node-1.txt.gz"), textType, ParseOptions{Time: 1, ExtraLabels: target()})
	if err != nil {
		b.Fatal(err)
	}
	return schema, s
}

// largeScrape has 21,000 series like those of a cluster's API server: mostly histograms of integers.
func largeScrape() (*scrape.Schema, *scrape.Scrape) {
	random := rand.New(rand.NewSource(1))
	schema, s := new(scrape.Schema), new(scrape.Scrape)
	add := func(name string, v float64, pairs ...string) {
		one := series("histogram", name, append(pairs, "instance", "10.0.0.1:6443", "job", "apiserver")...)
		one.Help = "Response latency distribution in seconds."
		schema.Series = append(schema.Series, one)
		s.Values = append(s.Values, v)
	}
	for i := range 1050 {
		name := fmt.Sprintf("apiserver_request_%d_duration_seconds", i/50)
		resource := "resource" + strconv.Itoa(i%50)
		for le := range 18 {
			add(name+"_bucket", float64(random.Intn(1e6)), "le", strconv.Itoa(le), "resource", resource, "verb", "GET")
		}
		add(name+"_sum", random.Float64()*1e4, "resource", resource, "verb", "GET")
		add(name+"_count", float64(random.Intn(1e6)), "resource", resource, "verb", "GET")
	}
	return schema, s
}

func benchmarkAppend(b *testing.B, schema *scrape.Schema, s *scrape.Scrape) {
	template := NewTemplate(schema)
	buf, err := template.Append(nil, s)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(template.Size())/float64(template.Written()), "template-B/series")
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = template.Append(buf[:0], s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	b.Run("node-532", func(b *testing.B) {
		schema, s := nodeScrape(b)
		benchmarkAppend(b, schema, s)
	})
	b.Run("large-21000", func(b *testing.B) {
		schema, s := largeScrape()
		benchmarkAppend(b, schema, s)
	})
	b.Run("large-21000-negative", func(b *testing.B) {
		schema, s := largeScrape()
		s.Values[0] = -1
		benchmarkAppend(b, schema, s)
	})
}

func BenchmarkNewTemplate(b *testing.B) {
	node, _ := nodeScrape(b)
	large, _ := largeScrape()
	for name, schema := range map[string]*scrape.Schema{"node-532": node, "large-21000": large} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewTemplate(schema)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	body := corpus(b, "node-1.txt.gz")
	b.Run("unchanged", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		p := NewParser(target(), Limits{})
		for b.Loop() {
			if _, _, err := p.Parse(body, textType, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, _, err := Parse(body, textType, ParseOptions{ExtraLabels: target()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadText(b *testing.B) {
	schema, s := nodeScrape(b)
	template := NewTemplate(schema)
	text, err := template.Append(nil, s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ReadText(text, template.Common()); err != nil {
			b.Fatal(err)
		}
	}
}
