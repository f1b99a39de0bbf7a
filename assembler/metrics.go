package assembler

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zstats/zstats/pkg/scrape"
)

type metrics struct {
	blobs          *prometheus.CounterVec // by form, verdict and reason
	scrapes        prometheus.Counter
	samples        prometheus.Counter
	inferred       prometheus.Counter
	conflicts      prometheus.Counter
	published      *prometheus.CounterVec // by cause
	schemasLost    prometheus.Counter
	dead           *prometheus.CounterVec // by reason
	marks          *prometheus.CounterVec // by reason
	cacheHits      prometheus.Counter
	cacheMisses    prometheus.Counter
	cacheEvictions prometheus.Counter
	cacheBytes     prometheus.Gauge
	bytesIn        prometheus.Counter
	bytesOut       prometheus.Counter
}

const (
	formFull        = "full"
	formIncremental = "incremental"
	causeNew        = "new"
	causeAgain      = "again"
)

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_assembler_" + name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zstats_assembler_" + name, Help: help}, labels)
	}
	m := &metrics{
		blobs:          vector("blobs_total", "Blobs folded, by form, by what became of them and why.", "form", "verdict", "reason"),
		scrapes:        counter("scrapes_total", "Scrapes rebuilt."),
		samples:        counter("samples_total", "Samples of the scrapes rebuilt."),
		inferred:       counter("inferred_values_total", "Values that are not proven to be what the target said."),
		conflicts:      counter("conflicts_total", "Blobs that show two collectors using the name of one target."),
		published:      vector("schemas_published_total", "Schemas published, new ones and again.", "cause"),
		schemasLost:    counter("schemas_lost_total", "Schemas that were to be published again and are kept nowhere any more."),
		dead:           vector("dead_letters_total", "Blobs and undecodable messages put into the dead letters.", "reason"),
		marks:          vector("resync_marks_total", "Targets marked to be asked for a full blob.", "reason"),
		cacheHits:      counter("state_cache_hits_total", "States found in memory."),
		cacheMisses:    counter("state_cache_misses_total", "States that had to be read from the log."),
		cacheEvictions: counter("state_cache_evictions_total", "States dropped from memory for want of room."),
		cacheBytes:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "zstats_assembler_state_cache_bytes", Help: "Memory of the states kept."}),
		bytesIn:        counter("input_bytes_total", "Bytes of the messages read."),
		bytesOut:       counter("output_bytes_total", "Bytes of the scrapes published."),
	}
	m.createLabels()
	if r != nil {
		r.MustRegister(m.blobs, m.scrapes, m.samples, m.inferred, m.conflicts, m.published, m.schemasLost, m.dead, m.marks,
			m.cacheHits, m.cacheMisses, m.cacheEvictions, m.cacheBytes, m.bytesIn, m.bytesOut)
	}
	return m
}

// createLabels makes the zeros show.
func (m *metrics) createLabels() {
	for _, form := range []string{formFull, formIncremental} {
		m.blobs.WithLabelValues(form, scrape.Accepted.String(), "")
		m.blobs.WithLabelValues(form, scrape.Duplicate.String(), scrape.ReasonDuplicate)
	}
	for _, reason := range scrape.Reasons() {
		if reason != scrape.ReasonDuplicate {
			m.dead.WithLabelValues(reason)
			m.marks.WithLabelValues(reason)
		}
	}
	m.dead.WithLabelValues(reasonUndecodable)
	for _, reason := range []string{reasonUndecodable, reasonUnfit, reasonStrict, reasonSchema} {
		m.marks.WithLabelValues(reason)
	}
	m.published.WithLabelValues(causeNew)
	m.published.WithLabelValues(causeAgain)
}

func (m *metrics) outcome(full bool, o scrape.Outcome) {
	form := formIncremental
	if full {
		form = formFull
	}
	m.blobs.WithLabelValues(form, o.Verdict.String(), o.Reason).Inc()
}

func (m *metrics) schemas(again bool) {
	cause := causeNew
	if again {
		cause = causeAgain
	}
	m.published.WithLabelValues(cause).Inc()
}
