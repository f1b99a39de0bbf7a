package assembler

import (
	"fmt"
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
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

// BenchmarkProcess measures batches with an incremental scrape of 532 samples of each target, from RAW's messages to SCRAPES'.
// All states are in memory, so the log has no part in it.
func BenchmarkProcess(b *testing.B) {
	blobs := blobsOf(recordedScrapes(b))
	for _, targets := range []int{50, 200} {
		b.Run(fmt.Sprint(targets), func(b *testing.B) {
			a := openNode(b).assemble(b, nil)
			batches := make([][]bus.Delivery, len(blobs))
			for i, blob := range blobs {
				batches[i] = batchOf(b, targets, i, blob)
			}
			scrapes, bytes := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				next := scrapes/targets%(len(blobs)-1) + 1
				if next == 1 {
					b.StopTimer()
					restart(b, a, batches[0])
					b.StartTimer()
				}
				outputs, err := a.Process(b.Context(), batches[next])
				if err != nil || len(outputs) != targets {
					b.Fatalf("%d outputs of %d deliveries: %v", len(outputs), targets, err)
				}
				scrapes += targets
				bytes += outputBytes(outputs)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(scrapes), "ns/scrape")
			b.ReportMetric(float64(bytes)/float64(scrapes), "outB/scrape")
		})
	}
}

// batchOf returns a message with the blob of each target, the k-th of theirs.
func batchOf(t testing.TB, targets, k int, blob *scrape.Blob) []bus.Delivery {
	t.Helper()
	batch := make([]bus.Delivery, targets)
	for i := range batch {
		target := scrape.Target{Account: "acme", Name: fmt.Sprintf("10.0.0.%d:9100.node", i)}
		m := rawMessage(t, target, seconds(k), blob)
		m.Sequence = uint64(k*targets + i + 1)
		batch[i] = bus.Delivery{Partition: target.Partition(bustest.Partitions), Message: m}
	}
	return batch
}

// restart has the assembler forget everything and start with the batch.
func restart(t testing.TB, a *Assembler, batch []bus.Delivery) {
	t.Helper()
	for p := range bustest.Partitions {
		a.Open(p)
	}
	if _, err := a.Process(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func outputBytes(outputs []bus.Output) (n int) {
	for _, o := range outputs {
		n += len(o.Data)
	}
	return n
}
