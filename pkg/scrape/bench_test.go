package scrape

import (
	"fmt"
	"testing"
)

// BenchmarkApply folds one incremental blob in which 40 % of the samples changed.
func BenchmarkApply(b *testing.B) {
	kinds := map[string]func(v float64, i int) float64{
		"counters": func(v float64, i int) float64 { return v + float64(i%1000) + 1 },
		"gauges":   func(v float64, i int) float64 { return float64(i*7919%10_007) / 3 }, // of those that change, one in five is inferred
	}
	for _, n := range []int{532, 21_000} {
		for _, kind := range []string{"counters", "gauges"} {
			b.Run(fmt.Sprintf("%d/%s", n, kind), func(b *testing.B) {
				st, blob := step(n, kinds[kind])
				var out Outcome
				b.ReportAllocs()
				for b.Loop() {
					_, out = st.Apply(blob, Arrival{})
				}
				b.ReportMetric(float64(out.Inferred), "inferred/op")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(blob.Index)), "ns/difference")
			})
		}
	}
}

// BenchmarkApplyRecorded folds an incremental blob of a node_exporter.
func BenchmarkApplyRecorded(b *testing.B) {
	scrapes := readScrapes(b, "testdata/node.tsv.gz")
	schema := schemaOf("m", len(scrapes[0].Values))
	st, _ := (*State)(nil).Apply(fullOf(schema, scrapes[0]), Arrival{})
	scrapes[1].Schema, scrapes[0].Schema = st.Schema, st.Schema
	blob := Increment(scrapes[0], scrapes[1])
	b.ReportAllocs()
	for b.Loop() {
		st.Apply(blob, Arrival{})
	}
	b.ReportMetric(float64(len(blob.Index)), "differences/op")
}

func BenchmarkIncrement(b *testing.B) {
	scrapes := readScrapes(b, "testdata/node.tsv.gz")
	b.ReportAllocs()
	for b.Loop() {
		Increment(scrapes[0], scrapes[1])
	}
}

func BenchmarkSchemaHash(b *testing.B) {
	s := schemaOf("node_cpu_seconds_total", 532)
	b.ReportAllocs()
	for b.Loop() {
		s.Hash()
	}
}

func BenchmarkPartition(b *testing.B) {
	target := Target{Account: "acme", Source: "eu-1", Name: "10.0.0.1:9100.node"}
	for b.Loop() {
		target.Partition(64)
	}
}

// step returns a state of n samples and an incremental blob that changes two of five.
func step(n int, next func(v float64, i int) float64) (*State, *Blob) {
	before := &Scrape{Generation: 1, Time: 1000, Values: make([]float64, n)}
	for i := range before.Values {
		before.Values[i] = next(float64(i*31), i*17+5)
	}
	st, _ := (*State)(nil).Apply(fullOf(schemaOf("m", n), before), Arrival{})
	now := &Scrape{Generation: 2, Time: 2000, Schema: st.Schema, Values: append([]float64(nil), before.Values...)}
	for i := range now.Values {
		if i%5 < 2 {
			now.Values[i] = next(now.Values[i], i)
		}
	}
	return st, Increment(&st.Scrape, now)
}
