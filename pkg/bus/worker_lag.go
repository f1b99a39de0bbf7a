package bus

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// workerLag knows how far a worker has come with its partitions and what waits there. It is measured beside the worker's loop, so
// that it rises while the loop is stuck, and shown as metrics of the partitions that the worker owns.
type workerLag struct {
	messages, seconds *prometheus.Desc

	mu    sync.Mutex // guards owned
	owned map[int]ownedLag
}

// ownedLag is one partition's.
type ownedLag struct {
	done uint64
	// lag as it was at a moment; it is zero before the first.
	lag Lag
	at  time.Time
}

func newWorkerLag(own prometheus.Labels) *workerLag {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"partition"}, own)
	}
	return &workerLag{
		messages: desc("zstats_stage_partition_lag_messages", "Input messages of a partition of this worker that are not done."),
		seconds:  desc("zstats_stage_partition_lag_seconds", "Age of the oldest of them, 0 if there is none."),
		owned:    make(map[int]ownedLag),
	}
}

// committed notes up to where the input of an owned partition is done.
func (l *workerLag) committed(p int, done uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owned[p]
	o.done = done
	l.owned[p] = o
}

// dropped forgets a partition that is not owned any more.
func (l *workerLag) dropped(p int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.owned, p)
}

// done returns how far the owned partitions are done.
func (l *workerLag) done() map[int]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[int]uint64, len(l.owned))
	for p, o := range l.owned {
		all[p] = o.done
	}
	return all
}

// measured notes a partition's lag, unless it was lost meanwhile.
func (l *workerLag) measured(p int, lag Lag, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o, ok := l.owned[p]; ok {
		o.lag, o.at = lag, at
		l.owned[p] = o
	}
}

// age is how long the oldest message has waited: until now if it still does, else as it was when it was seen.
func (o ownedLag) age(now time.Time) time.Duration {
	switch {
	case o.lag.Messages == 0:
		return 0
	case o.done < o.lag.First:
		return max(now.Sub(o.lag.Stored), 0)
	}
	return max(o.at.Sub(o.lag.Stored), 0)
}

// Describe implements prometheus.Collector.
func (l *workerLag) Describe(to chan<- *prometheus.Desc) {
	to <- l.messages
	to <- l.seconds
}

// Collect implements prometheus.Collector. A partition that was not measured yet is left out.
func (l *workerLag) Collect(to chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for p, o := range l.owned {
		if o.at.IsZero() {
			continue
		}
		label := strconv.Itoa(p)
		to <- prometheus.MustNewConstMetric(l.messages, prometheus.GaugeValue, float64(o.lag.Messages), label)
		to <- prometheus.MustNewConstMetric(l.seconds, prometheus.GaugeValue, o.age(now).Seconds(), label)
	}
}

// measureLag measures periodically until ctx ends.
func (w *Worker) measureLag(ctx context.Context) {
	meter := newLagMeter(w.o.Bus, w.o.Stage)
	for pause(ctx, w.o.MeasureEvery) {
		if err := w.measureOwned(ctx, meter); err != nil && ctx.Err() == nil {
			w.metrics.failures.WithLabelValues("measure").Inc()
			w.log.Debug("measuring the lag failed, trying again", zap.Error(err))
		}
	}
}

func (w *Worker) measureOwned(ctx context.Context, meter *lagMeter) error {
	owned := w.lag.done()
	end, err := meter.end(ctx)
	if err != nil {
		return err
	}
	for p, done := range owned {
		l, err := meter.measure(ctx, p, done, end)
		if err != nil {
			return err
		}
		w.lag.measured(p, l, time.Now())
	}
	return nil
}
