package writer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zstats/zstats/pkg/render"
)

type metrics struct {
	scrapes         prometheus.Counter
	samples         prometheus.Counter
	inferred        prometheus.Counter
	textBytes       prometheus.Counter
	compressedBytes prometheus.Counter
	repeats         prometheus.Counter
	late            prometheus.Counter
	deadLetters     *prometheus.CounterVec
	errors          *prometheus.CounterVec
	leftovers       prometheus.Counter
	syncs           prometheus.Histogram
	schemas         *render.Metrics
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		scrapes:         counter("scrapes_total", "Scrapes written to disk."),
		samples:         counter("samples_total", "Samples in the scrapes written to disk."),
		inferred:        counter("inferred_samples_total", "Samples written to disk whose value is not proven to be what the target said."),
		textBytes:       counter("text_bytes_total", "Bytes of text in the data files written to disk, before compression."),
		compressedBytes: counter("compressed_bytes_total", "Bytes of the data files written to disk."),
		repeats:         counter("repeats_total", "Scrapes that were found on disk already, after a crash or a hand-over."),
		late:            counter("late_total", "Scrapes of requeued dead letters among those written to disk."),
		leftovers:       counter("leftovers_total", "Temporary directories of dead writers that were removed at start."),
		schemas:         render.NewMetrics("zstats_writer_", r),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_writer_dead_letters_total",
			Help: "Scrapes that could not be written and went to the dead letters.",
		}, []string{"reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_writer_errors_total",
			Help: "Batches that failed and are tried again.",
		}, []string{"kind"}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "zstats_writer_sync_seconds",
			Help:    "Waits until a batch was durable, two a batch: for its files and for their places.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	for _, reason := range reasons() {
		m.deadLetters.WithLabelValues(string(reason))
	}
	for _, kind := range kinds() {
		m.errors.WithLabelValues(kind)
	}
	if r != nil {
		r.MustRegister(m.scrapes, m.samples, m.inferred, m.textBytes, m.compressedBytes, m.repeats, m.late, m.deadLetters, m.errors,
			m.leftovers, m.syncs)
	}
	return m
}

// written counts the jobs of a batch that is durable.
func (m *metrics) written(jobs []job) {
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.refused != nil: // counted by reason
		case j.repeat:
			m.repeats.Inc()
		default:
			m.scrapes.Inc()
			if j.late() {
				m.late.Inc()
			}
			m.samples.Add(float64(j.metadata.Samples))
			m.inferred.Add(float64(j.metadata.Inferred))
			m.textBytes.Add(float64(j.text))
			m.compressedBytes.Add(float64(j.data))
		}
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_writer_" + name, Help: help})
}
