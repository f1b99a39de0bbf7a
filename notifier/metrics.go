package notifier

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

type metrics struct {
	events      prometheus.Counter
	bytes       prometheus.Counter
	gaps        prometheus.Counter
	undecodable prometheus.Counter
	lag         prometheus.Gauge
	ends        *prometheus.CounterVec
	positions   *positionMetrics
}

func newMetrics(r prometheus.Registerer, subs *subscribers) (*metrics, error) {
	m := &metrics{
		events:      counter("events_total", "Events sent to subscribers."),
		bytes:       counter("bytes_total", "Bytes of the messages sent to subscribers, before compression and framing."),
		gaps:        counter("gaps_total", "Gaps reported to consumers: events may have been removed before they were sent."),
		undecodable: counter("undecodable_total", "Messages of EVENTS that could not be decoded; each is reported to its subscribers as a gap."),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "zstats_notifier_lag_sequences",
			Help: "Sequences by which the slowest subscriber is behind the end of EVENTS.",
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_notifier_subscriptions_ended_total",
			Help: "Streams of subscribers and members of positions that ended, by gRPC status code; Canceled and OK are consumers that left.",
		}, []string{"code"}),
		positions: newPositionMetrics(),
	}
	for _, c := range endCodes() {
		m.ends.WithLabelValues(c.String())
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "zstats_notifier_subscribers", Help: "Streams of subscribers and members of positions that are open.",
	}, func() float64 { return float64(subs.count()) })
	if r == nil {
		return m, nil
	}
	return m, register(r, m.events, m.bytes, m.gaps, m.undecodable, m.lag, m.ends, open, m.positions)
}

// register registers all or reports what could not be.
func register(r prometheus.Registerer, collectors ...prometheus.Collector) error {
	var errs []error
	for _, c := range collectors {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_notifier_" + name, Help: help})
}

// endCodes are the codes with which a stream may end.
func endCodes() []codes.Code {
	return []codes.Code{
		codes.OK, codes.Aborted, codes.Canceled, codes.FailedPrecondition, codes.DeadlineExceeded, codes.InvalidArgument, codes.OutOfRange, codes.Unauthenticated,
		codes.PermissionDenied, codes.ResourceExhausted, codes.Unavailable, codes.Internal,
	}
}

func (m *metrics) ended(c codes.Code) { m.ends.WithLabelValues(c.String()).Inc() }
