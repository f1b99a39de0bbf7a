package ingest

import (
	"context"
	"fmt"
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/corpus"
)

// benchTargets is how many targets a request of the benchmarks speaks of, one blob each.
const benchTargets = 50

// load are the requests of a collector with benchTargets node exporters: one with full blobs, then one for each further scrape.
type load struct {
	bodies  [][]byte
	targets []scrape.Target
	heads   []event.Head // of each target after the first request
	changed float64      // samples in an incremental blob, on average
}

func newLoad(b *testing.B) *load {
	expositions, err := corpus.Node()
	if err != nil {
		b.Fatal(err)
	}
	l := &load{}
	instances := make([][]zstatsv1.Instance, len(expositions))
	for i := range benchTargets {
		t := scrape.Target{Account: testAccount, Name: fmt.Sprintf("10.1.0.%d:9100.node", i)}
		l.targets = append(l.targets, t)
		for g, in := range l.target(b, t.Name, expositions) {
			instances[g] = append(instances[g], in)
		}
	}
	for _, all := range instances {
		l.bodies = append(l.bodies, pack(all...))
	}
	l.changed /= float64(benchTargets * (len(expositions) - 1))
	return l
}

func (l *load) target(b *testing.B, name string, expositions []corpus.Exposition) []zstatsv1.Instance {
	parser := expo.NewParser([]scrape.Label{{Name: "instance", Value: name}, {Name: "job", Value: "node"}}, expo.Limits{})
	var out []zstatsv1.Instance
	var last *scrape.Scrape
	for g, e := range expositions {
		schema, s, err := parser.Parse(e.Body, "text/plain; version=0.0.4", e.Time)
		if err != nil {
			b.Fatal(err)
		}
		s.Generation = int64(g + 1)
		blob := fullBlob(schema, s)
		if last != nil {
			if blob = scrape.Increment(last, s); blob == nil {
				b.Fatal("the recorded target changed its series")
			}
			l.changed += float64(len(blob.Index))
		} else {
			l.heads = append(l.heads, event.Head{Run: scrape.Run{First: 1, Last: 1}, Samples: len(s.Values), FullSequence: 1})
		}
		out = append(out, zstatsv1.InstanceOf(name, blob))
		last = s
	}
	return out
}

// rewind makes the ingest forget all but the first request.
func (l *load) rewind(i *Ingest) {
	for k, t := range l.targets {
		head := l.heads[k]
		head.Received = i.now().UnixMicro()
		i.heads.set(event.RawSubject(t, bustest.Partitions), head)
	}
}

// discard stores nothing.
type discard struct {
	memoryLog
	sequence uint64
}

func (d *discard) Append(_ context.Context, msgs []bus.Message) ([]uint64, error) {
	sequences := make([]uint64, len(msgs))
	for i := range sequences {
		d.sequence++
		sequences[i] = d.sequence
	}
	return sequences, nil
}

// BenchmarkIngest measures what ingest itself takes for a blob of 532 samples, without HTTP's connections and without the log.
func BenchmarkIngest(b *testing.B) {
	l := newLoad(b)
	log := &discard{}
	i := unserved(b, &log.memoryLog, func(o *Options) { o.Raw = log })
	run := func(b *testing.B, bodies [][]byte, before func()) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if n%len(bodies) == 0 {
				before()
			}
			if _, err := codesOf(call(i, bodies[n%len(bodies)]), benchTargets); err != nil {
				b.Fatal(err)
			}
			n++
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchTargets), "µs/blob")
	}
	b.Run("incremental", func(b *testing.B) {
		run(b, l.bodies[1:], func() { l.rewind(i) })
		b.ReportMetric(l.changed, "changed/blob")
	})
	b.Run("full", func(b *testing.B) { run(b, l.bodies[:1], i.heads.cache.Purge) })
	b.Run("duplicate", func(b *testing.B) { run(b, l.bodies[:1], func() { l.rewind(i) }) })
}

// BenchmarkServed measures the whole way into an embedded log, fsync included, over HTTP, from one collector.
func BenchmarkServed(b *testing.B) {
	l := newLoad(b)
	r := start(b, openNode(b, event.Limits{}), nil)
	r.post(b, l.bodies[0])
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%(len(l.bodies)-1) == 0 {
			l.rewind(r.Ingest)
		}
		if _, err := codesOf(r.post(b, l.bodies[1+n%(len(l.bodies)-1)]), benchTargets); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*benchTargets), "µs/blob")
}

// BenchmarkJudge measures the decision alone.
func BenchmarkJudge(b *testing.B) {
	head := &event.Head{Run: scrape.Run{First: 5, Last: 10}, Samples: 3, FullSequence: 100}
	blobs := []incoming{incr(11)}
	b.ReportAllocs()
	for b.Loop() {
		if judge(head, 0, blobs).doubtful {
			b.Fatal("doubtful")
		}
	}
}
