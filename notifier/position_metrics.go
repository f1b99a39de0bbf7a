package notifier

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
)

// positionMetrics say how far the named positions have come. Every notifier has the same, since all positions are in the log.
type positionMetrics struct {
	unacked, lag, missed *prometheus.Desc
	last                 atomic.Pointer[[]bus.PositionState]
}

func newPositionMetrics() *positionMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("zstats_position_"+name, help, []string{"owner_account", "owner_source", "position"}, nil)
	}
	return &positionMetrics{
		unacked: desc("unacknowledged_events", "Events that a named position has not acknowledged, before its selection by target."),
		lag:     desc("lag_seconds", "Age of the oldest event that a named position has not acknowledged; 0 if there is none."),
		missed:  desc("missed_sequences", "Sequences that were removed before a named position had acknowledged them, until it acknowledges that."),
	}
}

// Describe implements prometheus.Collector.
func (m *positionMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.unacked
	out <- m.lag
	out <- m.missed
}

// Collect implements prometheus.Collector.
func (m *positionMetrics) Collect(out chan<- prometheus.Metric) {
	all := m.last.Load()
	if all == nil {
		return
	}
	now := time.Now()
	for _, p := range *all {
		gauge := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, p.Account, p.Source, p.Name)
		}
		gauge(m.unacked, float64(p.Pending+p.Unacked))
		gauge(m.lag, ageOf(p.Oldest, now).Seconds())
		gauge(m.missed, float64(p.Gap.Len()))
	}
}

// ageOf returns how long ago a time was, 0 for the zero time. The log may have another clock.
func ageOf(t, now time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t), 0)
}

// watchPositions keeps the metrics of positions up to date until ctx ends.
func (n *Notifier) watchPositions(ctx context.Context) {
	tick := time.NewTicker(n.pace.positions)
	defer tick.Stop()
	for {
		n.lookAtPositions(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAtPositions asks the log once. What it can't tell stays as it was; that the log can't be read is told elsewhere.
func (n *Notifier) lookAtPositions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if n.log.Ready() != nil {
		return
	}
	all, err := n.log.Positions(ctx)
	if err != nil {
		n.logger.Debug("named positions can't be listed now", zap.Error(err))
		return
	}
	n.metrics.positions.last.Store(&all)
}
