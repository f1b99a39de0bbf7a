package assembler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

type metrics struct {
	blobs    *prometheus.CounterVec // by form, verdict and reason
	outcomes map[fold.Outcome]prometheus.Counter
	poison   prometheus.Counter

	scrapes   prometheus.Counter
	samples   prometheus.Counter
	inferred  prometheus.Counter
	conflicts prometheus.Counter

	schemasPublished *prometheus.CounterVec // by cause
	schemasRebuilt   prometheus.Counter
	schemasLost      prometheus.Counter

	deadLetters *prometheus.CounterVec // by reason
	marks       *prometheus.CounterVec // by reason

	cacheHits      prometheus.Counter
	cacheMisses    prometheus.Counter
	cacheEvictions prometheus.Counter
	cacheBytes     prometheus.Gauge
	cacheTargets   prometheus.Gauge
	statesDamaged  prometheus.Counter
	statesStale    prometheus.Counter

	bytesIn  prometheus.Counter
	bytesOut prometheus.Counter
	seconds  prometheus.Histogram
}

// Values of labels.
const (
	formFull        = "full"
	formIncremental = "incremental"
	causeNew        = "new"   // a target's first scrape with the schema
	causeAgain      = "again" // a period is over
)

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		blobs:            vector("blobs_total", "Blobs folded, by form, by what became of them and why.", "form", "verdict", "reason"),
		poison:           counter("poison_messages_total", "Messages that could not be folded as a whole."),
		scrapes:          counter("scrapes_total", "Scrapes rebuilt."),
		samples:          counter("samples_total", "Samples of the scrapes rebuilt."),
		inferred:         counter("inferred_values_total", "Values of the scrapes rebuilt that are not proven to be what the target said."),
		conflicts:        counter("conflicts_total", "Full blobs that go on with a run that another one interrupted: two collectors use the name of one target."),
		schemasPublished: vector("schemas_published_total", "Schemas published.", "cause"),
		schemasRebuilt:   counter("schemas_rebuilt_total", "Schemas that were missing in SCHEMAS and taken from a full blob in RAW."),
		schemasLost:      counter("schemas_lost_total", "Schemas that were to be published again and are kept nowhere any more."),
		deadLetters:      vector("dead_letters_total", "Messages that went to the dead letters, whole or in part.", "reason"),
		marks:            vector("resync_marks_total", "Targets marked to be asked for a full blob.", "reason"),
		cacheHits:        counter("state_cache_hits_total", "Targets of batches whose state was in memory."),
		cacheMisses:      counter("state_cache_misses_total", "Targets of batches whose state had to be read from the log."),
		cacheEvictions:   counter("state_cache_evictions_total", "States dropped from memory for want of room."),
		cacheBytes:       gauge("state_cache_bytes", "Memory of the states kept between batches."),
		cacheTargets:     gauge("state_cache_targets", "Targets whose states are kept between batches."),
		statesDamaged:    counter("states_damaged_total", "States in the log that could not be decoded."),
		statesStale:      counter("states_stale_total", "States in memory that were not the ones in the log. This must not happen."),
		bytesIn:          counter("input_bytes_total", "Bytes of the messages read."),
		bytesOut:         counter("output_bytes_total", "Bytes of the scrapes published."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    prefix + "batch_seconds",
			Help:    "Time for folding a batch and publishing its schemas, dead letters and marks.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	m.createLabels()
	if r != nil {
		r.MustRegister(m.blobs, m.poison, m.scrapes, m.samples, m.inferred, m.conflicts, m.schemasPublished, m.schemasRebuilt,
			m.schemasLost, m.deadLetters, m.marks, m.cacheHits, m.cacheMisses, m.cacheEvictions, m.cacheBytes, m.cacheTargets,
			m.statesDamaged, m.statesStale, m.bytesIn, m.bytesOut, m.seconds)
	}
	return m
}

const prefix = "zstats_assembler_"

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
}

func vector(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
}

// createLabels makes the zeros show.
func (m *metrics) createLabels() {
	m.outcomes = make(map[fold.Outcome]prometheus.Counter)
	for _, full := range []bool{true, false} {
		m.outcome(fold.Outcome{Full: full, Verdict: scrape.Accepted})
		m.outcome(fold.Outcome{Full: full, Verdict: scrape.Duplicate, Reason: scrape.ReasonDuplicate})
		m.outcome(fold.Outcome{Full: full, Verdict: scrape.Unusable, Reason: scrape.ReasonLength})
	}
	for _, reason := range []string{scrape.ReasonNoState, scrape.ReasonGap, scrape.ReasonCount} {
		m.outcome(fold.Outcome{Verdict: scrape.Orphan, Reason: reason})
	}
	for _, reason := range []string{scrape.ReasonIndex, scrape.ReasonNonFinite, scrape.ReasonTime} {
		m.outcome(fold.Outcome{Verdict: scrape.Unusable, Reason: reason})
	}
	for _, reason := range letterReasons() {
		m.deadLetters.WithLabelValues(reason)
	}
	for _, reason := range markReasons() {
		m.marks.WithLabelValues(reason)
	}
	m.schemasPublished.WithLabelValues(causeNew)
	m.schemasPublished.WithLabelValues(causeAgain)
}

// outcome returns the counter of an outcome.
func (m *metrics) outcome(o fold.Outcome) prometheus.Counter {
	c, ok := m.outcomes[o]
	if !ok {
		form := formIncremental
		if o.Full {
			form = formFull
		}
		c = m.blobs.WithLabelValues(form, o.Verdict.String(), o.Reason)
		m.outcomes[o] = c
	}
	return c
}

// tally counts what happens in a batch, so that a batch that fails and is tried again counts once.
type tally struct {
	outcomes map[fold.Outcome]int
	letters  map[string]int // by reason
	marks    map[string]int // by reason

	poison, conflicts                                     int
	scrapes, samples, inferred                            int
	schemasNew, schemasAgain, schemasRebuilt, schemasLost int
	hits, misses                                          int
	bytesIn                                               int
}

func newTally() tally {
	return tally{outcomes: make(map[fold.Outcome]int), letters: make(map[string]int), marks: make(map[string]int)}
}

// add counts what one message was folded to.
func (t *tally) add(f *fold.Result) {
	for _, o := range f.Outcomes {
		t.outcomes[o]++
	}
	t.conflicts += len(f.Conflicts)
	t.scrapes += len(f.Accepted)
	for _, a := range f.Accepted {
		t.samples += len(a.State.Values)
		t.inferred += len(a.State.Inferred)
	}
}

// processed counts a batch that is done.
func (m *metrics) processed(s *step, took time.Duration) {
	t := &s.tally
	for o, n := range t.outcomes {
		m.outcome(o).Add(float64(n))
	}
	addEach(m.deadLetters, t.letters)
	addEach(m.marks, t.marks)
	m.schemasPublished.WithLabelValues(causeNew).Add(float64(t.schemasNew))
	m.schemasPublished.WithLabelValues(causeAgain).Add(float64(t.schemasAgain))
	bytesOut := 0
	for _, o := range s.outputs {
		bytesOut += len(o.Data)
	}
	for _, c := range []struct {
		counter prometheus.Counter
		n       int
	}{
		{m.poison, t.poison}, {m.conflicts, t.conflicts}, {m.scrapes, t.scrapes}, {m.samples, t.samples}, {m.inferred, t.inferred},
		{m.schemasRebuilt, t.schemasRebuilt}, {m.schemasLost, t.schemasLost},
		{m.cacheHits, t.hits}, {m.cacheMisses, t.misses}, {m.bytesIn, t.bytesIn}, {m.bytesOut, bytesOut},
	} {
		c.counter.Add(float64(c.n))
	}
	m.seconds.Observe(took.Seconds())
}

func addEach(v *prometheus.CounterVec, byReason map[string]int) {
	for reason, n := range byReason {
		v.WithLabelValues(reason).Add(float64(n))
	}
}
