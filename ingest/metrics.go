package ingest

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// readCause says why a head was read from the log.
type readCause string

const (
	readMissing readCause = "missing" // none was remembered, or an old one
	readStale   readCause = "stale"   // the one that was remembered didn't fit
)

func readCauseOf(remembered bool) readCause {
	if remembered {
		return readStale
	}
	return readMissing
}

const (
	formFull        = "full"
	formIncremental = "incremental"
)

func form(full bool) string {
	if full {
		return formFull
	}
	return formIncremental
}

// name returns the action's label.
func (a action) name() string {
	switch a {
	case actionStore:
		return "stored"
	case actionDuplicate:
		return "duplicate"
	case actionResend:
		return "resend"
	default:
		return "refused"
	}
}

type metrics struct {
	requests      *prometheus.CounterVec // by outcome
	seconds       prometheus.Histogram
	inFlight      prometheus.Gauge
	bodyBytes     prometheus.Counter
	decodedBytes  prometheus.Counter
	bufferedBytes prometheus.Gauge
	decodingBytes prometheus.Gauge
	received      *prometheus.CounterVec // by form
	blobs         *prometheus.CounterVec // by form and what became of them
	samples       prometheus.Counter
	resends       *prometheus.CounterVec // by reason
	headHits      prometheus.Counter
	headReads     *prometheus.CounterVec // by cause
	marks         prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{
		requests: counters("requests_total", "Requests by what became of them.", "outcome"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "zstats_ingest_request_seconds",
			Help:    "Time from a POST's header to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
		inFlight:      gauge("requests_in_flight", "POST requests that are being read, wait or are worked on."),
		bodyBytes:     counter("body_bytes_total", "Bytes of bodies as they were sent, compressed."),
		decodedBytes:  counter("decoded_bytes_total", "Bytes of bodies after decompression."),
		bufferedBytes: gauge("buffered_bytes", "Memory of bodies that are being read or wait for their turn."),
		decodingBytes: gauge("decoding_bytes", "Decompressed size of the requests that are worked on."),
		received:      counters("blobs_received_total", "Blobs in requests that could be decoded.", "form"),
		blobs:         counters("blobs_total", "Blobs that were answered, by what became of them.", "form", "result"),
		samples:       counter("samples_total", "Samples of the scrapes whose blobs were stored."),
		resends:       counters("resends_total", "Blobs whose full form was asked for.", "reason"),
		headHits:      counter("head_cache_hits_total", "Targets of requests whose last blob was remembered."),
		headReads:     counters("head_reads_total", "Targets of requests whose last blob was looked up in the log.", "cause"),
		marks:         gauge("resync_marks", "Targets that are marked to be asked for a full blob."),
	}
	m.zero()
	return m
}

// zero makes all label values visible from the start.
func (m *metrics) zero() {
	for _, o := range outcomes() {
		m.requests.WithLabelValues(string(o))
	}
	for _, full := range []bool{true, false} {
		m.received.WithLabelValues(form(full))
		for a := actionStore; a <= actionRefuse; a++ {
			m.blobs.WithLabelValues(form(full), a.name())
		}
	}
	for _, r := range reasons() {
		m.resends.WithLabelValues(string(r))
	}
	m.headReads.WithLabelValues(string(readMissing))
	m.headReads.WithLabelValues(string(readStale))
}

func (m *metrics) register(r prometheus.Registerer, h *heads) error {
	if r == nil {
		return nil
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "zstats_ingest_head_cache_entries", Help: "Targets whose last blob is remembered.",
	}, func() float64 { return float64(h.cache.Len()) })
	var errs []error
	for _, c := range []prometheus.Collector{
		m.requests, m.seconds, m.inFlight, m.bodyBytes, m.decodedBytes, m.bufferedBytes, m.decodingBytes, m.received, m.blobs,
		m.samples, m.resends, m.headHits, m.headReads, m.marks, size,
	} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func (m *metrics) request(o outcome) { m.requests.WithLabelValues(string(o)).Inc() }

// arrived counts the blobs of a request.
func (m *metrics) arrived(groups []*group) {
	var n [2]int
	for _, g := range groups {
		for i := range g.blobs {
			n[index(g.blobs[i].full)]++
		}
	}
	m.received.WithLabelValues(formIncremental).Add(float64(n[0]))
	m.received.WithLabelValues(formFull).Add(float64(n[1]))
}

// answered counts what became of the blobs of a request.
func (m *metrics) answered(groups []*group) {
	var n [2][actionRefuse + 1]int
	each(groups, func(g *group, i int, v verdict) {
		n[index(g.blobs[i].full)][v.action]++
		if v.action == actionResend {
			m.resends.WithLabelValues(string(v.reason)).Inc()
		}
	})
	for _, full := range []bool{true, false} {
		for a, count := range n[index(full)] {
			m.blobs.WithLabelValues(form(full), action(a).name()).Add(float64(count))
		}
	}
	for _, g := range groups {
		for _, message := range g.messages {
			m.samples.Add(float64(message.total))
		}
	}
}

func index(full bool) int {
	if full {
		return 1
	}
	return 0
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_ingest_" + name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zstats_ingest_" + name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "zstats_ingest_" + name, Help: help})
}
