package assembler

import (
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
)

// recordedScrape is a recorded scrape with its schema.
type recordedScrape struct {
	schema *scrape.Schema
	scrape *scrape.Scrape
}

// recordedScrapes returns the recorded scrapes of a node exporter, all of which have one schema.
func recordedScrapes(t testing.TB) []recordedScrape {
	t.Helper()
	recorded, err := corpus.Node()
	if err != nil {
		t.Fatal(err)
	}
	parser := expo.NewParser([]scrape.Label{{Name: "instance", Value: "10.0.0.1:9100"}, {Name: "job", Value: "node"}}, expo.Limits{})
	all := make([]recordedScrape, len(recorded))
	for i, r := range recorded {
		schema, s, err := parser.Parse(r.Body, "text/plain", r.Time)
		if err != nil {
			t.Fatal(err)
		}
		s.Generation = int64(i + 1)
		all[i] = recordedScrape{schema, s}
	}
	return all
}

// blobsOf returns a full blob of the first scrape and incremental ones of the others.
func blobsOf(recorded []recordedScrape) []*scrape.Blob {
	blobs := []*scrape.Blob{fullBlob(recorded[0].schema, recorded[0].scrape)}
	for i := 1; i < len(recorded); i++ {
		blobs = append(blobs, scrape.Increment(recorded[i-1].scrape, recorded[i].scrape))
	}
	return blobs
}

// BenchmarkIncremental measures what an incremental scrape of 532 samples takes from RAW's message to SCRAPES' message.
func BenchmarkIncremental(b *testing.B) {
	n := openNode(b)
	a := n.assemble(b, nil)
	blobs := blobsOf(recordedScrapes(b))
	deliveries := n.feed(b, each(b, testTarget, 0, blobs...)...)
	first := deliveries[:1]
	rest := deliveries[1:]
	fresh := func() {
		a.Open(first[0].Partition)
		if _, err := a.Process(b.Context(), first); err != nil {
			b.Fatal(err)
		}
	}
	out := 0
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		fresh()
		b.StartTimer()
		size := min(len(rest), b.N-done)
		outputs, err := a.Process(b.Context(), rest[:size])
		if err != nil || len(outputs) != size {
			b.Fatalf("%d outputs of %d deliveries: %v", len(outputs), size, err)
		}
		out += outputBytes(outputs)
		done += size
	}
	b.ReportMetric(float64(out)/float64(b.N), "outB/op")
}

func outputBytes(outputs []bus.Output) (n int) {
	for _, o := range outputs {
		n += len(o.Data)
	}
	return n
}
