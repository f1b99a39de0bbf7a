package notifier

import (
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
)

// BenchmarkSubscription reads a full stream through one subscription: an operation is one event.
func BenchmarkSubscription(b *testing.B) {
	log := bustest.Open(b)
	c := dial(b, serveAt(b, defaultPace(), Options{Log: log}))
	const kept = 20_000
	a := target("acme", "192.168.120.51:9100.node")
	for range kept / 500 {
		messages := make([]bus.Message, 500)
		for i := range messages {
			messages[i] = written(b, a, 1584152545363000+int64(i))
		}
		appendAll(b, log, messages...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= kept {
		s, _ := subscribe(b, c, from(1))
		for range min(left, kept) {
			nextEvent(b, s)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
