package render

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what Schemas counts.
type Metrics struct {
	Hits    prometheus.Counter // scrapes whose schema was in memory
	Misses  prometheus.Counter // scrapes whose schema had to be read
	Rebuilt prometheus.Counter // schemas that were taken from a full blob
	Bytes   prometheus.Gauge   // memory of the schemas that are kept
}

// NewMetrics returns metrics whose names begin with a prefix. They are registered with r unless that is nil.
func NewMetrics(prefix string, r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	m := &Metrics{
		Hits:    counter("schema_cache_hits_total", "Scrapes whose schema was in the cache."),
		Misses:  counter("schema_cache_misses_total", "Scrapes whose schema had to be read from the log."),
		Rebuilt: counter("schemas_rebuilt_total", "Schemas that were missing in the log and taken from a full blob."),
		Bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "schema_cache_bytes", Help: "Memory that cached schemas take.",
		}),
	}
	if r != nil {
		r.MustRegister(m.Hits, m.Misses, m.Rebuilt, m.Bytes)
	}
	return m
}
