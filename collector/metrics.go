package collector

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is what became of a scrape.
type outcome string

const (
	scrapeTaken       outcome = "taken"
	scrapeUnreachable outcome = "unreachable" // no answer, or not within the timeout
	scrapeStatus      outcome = "status"      // not 200
	scrapeTooLarge    outcome = "too_large"
	scrapeInvalid     outcome = "invalid" // no exposition, or not to its end
	scrapeEmpty       outcome = "empty"
	scrapeRefused     outcome = "refused" // the queue is full
)

func outcomes() []outcome {
	return []outcome{scrapeTaken, scrapeUnreachable, scrapeStatus, scrapeTooLarge, scrapeInvalid, scrapeEmpty, scrapeRefused}
}

// cause says why a blob was dropped.
type cause string

const (
	dropFailed  cause = "failed"        // the server answered code 2
	dropRefused cause = "refused"       // the server refused the request that held nothing else
	dropResend  cause = "resend"        // the server asked for the full form again and again
	dropStopped cause = "stopped"       // the collector ended before it was delivered, and there is no buffer for it
	dropCorrupt cause = "corrupt_files" // counts files of the buffer, not blobs: what they held can't be known
)

func causes() []cause { return []cause{dropFailed, dropRefused, dropResend, dropStopped, dropCorrupt} }

const (
	formFull        = "full"
	formIncremental = "incremental"
)

type metrics struct {
	scrapes         *prometheus.CounterVec // by outcome
	scrapeSeconds   prometheus.Histogram
	scrapedBytes    prometheus.Counter
	scrapedSamples  prometheus.Counter
	inferredSamples prometheus.Counter
	fulls           *prometheus.CounterVec // by reason
	blobs           *prometheus.CounterVec // by form
	stored          prometheus.Counter
	dropped         *prometheus.CounterVec // by reason
	requests        *prometheus.CounterVec // by outcome
	requestSeconds  prometheus.Histogram
	sentBytes       prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		scrapes:         counters("scrapes_total", "Scrapes by what became of them.", "outcome"),
		scrapeSeconds:   histogram("scrape_seconds", "Time from the request to a target until its answer was read and parsed.", 0.001),
		scrapedBytes:    counter("scraped_bytes_total", "Bytes that targets exposed in scrapes that were taken, uncompressed."),
		scrapedSamples:  counter("scraped_samples_total", "Samples in scrapes that were taken."),
		inferredSamples: counter("inferred_samples_total", "Samples that the server rebuilds right but can't prove, and so marks as inferred."),
		fulls:           counters("fulls_total", "Blobs that go in their full form, by reason.", "reason"),
		blobs:           counters("blobs_sent_total", "Blobs in requests, each time that they were sent.", "form"),
		stored:          counter("blobs_stored_total", "Blobs that the server has stored."),
		dropped:         counters("dropped_total", "Blobs that were given up, and files of the buffer that were set aside.", "reason"),
		requests:        counters("requests_total", "Requests to the server by outcome.", "outcome"),
		requestSeconds:  histogram("request_seconds", "Time of a request to the server with its answer.", 0.001),
		sentBytes:       counter("sent_bytes_total", "Bytes of the bodies of requests, compressed, each time that they were sent."),
	}
	eachLabel(m.scrapes, outcomes())
	eachLabel(m.fulls, fullReasons())
	eachLabel(m.blobs, []string{formFull, formIncremental})
	eachLabel(m.dropped, causes())
	eachLabel(m.requests, answers())
	return m
}

// register registers all metrics, those of the queue among them.
func (m *metrics) register(r prometheus.Registerer, q *queue) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		m.scrapes, m.scrapeSeconds, m.scrapedBytes, m.scrapedSamples, m.inferredSamples, m.fulls, m.blobs, m.stored,
		m.dropped, m.requests, m.requestSeconds, m.sentBytes,
		gauge("queue_blobs", "Blobs in memory that are not delivered yet.", func() float64 { return float64(q.stats().blobs) }),
		gauge("queue_bytes", "Memory of the blobs that are not delivered yet.", func() float64 { return float64(q.stats().bytes) }),
		gauge("buffer_files", "Files of the buffer directory.", func() float64 { return float64(q.stats().files) }),
		gauge("buffer_bytes", "Bytes of the files of the buffer directory.", func() float64 { return float64(q.stats().fileBytes) }),
		gauge("oldest_blob_seconds", "How long the oldest blob in memory has waited.", func() float64 { return q.oldest(time.Now()).Seconds() }),
	} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) scraped(o outcome)       { m.scrapes.WithLabelValues(string(o)).Inc() }
func (m *metrics) full(why reason)         { m.fulls.WithLabelValues(string(why)).Inc() }
func (m *metrics) answered(a answer)       { m.requests.WithLabelValues(string(a)).Inc() }
func (m *metrics) drop(why cause, n int)   { m.dropped.WithLabelValues(string(why)).Add(float64(n)) }
func (m *metrics) sent(form string, n int) { m.blobs.WithLabelValues(form).Add(float64(n)) }

const namespace, subsystem = "zstats", "collector"

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(
		prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, []string{label})
}

func gauge(name, help string, value func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, value)
}

// histogram has buckets from the given number of seconds to 16,384 times as much.
func histogram(name, help string, from float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
		Buckets: prometheus.ExponentialBuckets(from, 4, 8),
	})
}

// eachLabel creates the values of a vector's label, so that they show as zeros.
func eachLabel[S ~string](v *prometheus.CounterVec, values []S) {
	for _, value := range values {
		v.WithLabelValues(string(value))
	}
}
