package push

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	calls       *prometheus.CounterVec
	seconds     prometheus.Histogram
	up          prometheus.Gauge
	missed      prometheus.Counter
	undecodable prometheus.Counter
}

func newMetrics(r prometheus.Registerer, h *held) (*metrics, error) {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_push_calls_total",
			Help: "Calls of the downstream service, by what they came to: taken; refused for good; failed for one event; given_up, the last of too many that failed; the service unavailable.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zstats_push_call_seconds", Help: "How long calls of the downstream service took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "zstats_push_up", Help: "1 unless the downstream service was last found to take nothing.",
		}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "zstats_push_missed_sequences_total",
			Help: "Sequences of EVENTS that were removed before the downstream service had taken them.",
		}),
		undecodable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "zstats_push_undecodable_total", Help: "Messages of EVENTS that could not be decoded, and were left aside.",
		}),
	}
	for _, o := range outcomes() {
		m.calls.WithLabelValues(o.String())
	}
	m.up.Set(1)
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "zstats_push_calls_in_flight", Help: "Calls of the downstream service that are under way.",
	}, func() float64 { return float64(h.count()) })
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.up, m.missed, m.undecodable, inFlight} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
