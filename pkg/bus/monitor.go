package bus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// MonitorOptions configure a Monitor.
type MonitorOptions struct {
	Bus        *Bus
	Stages     []Stage
	Partitions int
	// Every is the period; 0 is 10 s.
	Every      time.Duration
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Monitor watches whole stages from the outside: what waits for them, and which of their partitions no living worker owns. A
// worker can't tell of partitions that have no worker. Any number of processes may run one; all of them show the same.
type Monitor struct {
	o       MonitorOptions
	log     *zap.Logger
	unowned *prometheus.GaugeVec
	lag     *prometheus.GaugeVec
	seconds *prometheus.GaugeVec
	failed  *prometheus.CounterVec
}

// NewMonitor returns a monitor.
func NewMonitor(o MonitorOptions) (*Monitor, error) {
	if o.Bus == nil || o.Partitions < 1 {
		return nil, errors.New("monitor: Bus and Partitions are required")
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	byStage := []string{"stage"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, byStage)
	}
	m := &Monitor{
		o: o, log: o.Logger,
		unowned: gauge("zstats_stage_partitions_unowned", "Partitions of the whole stage that no living worker owns."),
		lag:     gauge("zstats_stage_lag_messages", "Input messages of the whole stage, of all workers, that are not done."),
		seconds: gauge("zstats_stage_lag_seconds", "Age of the oldest of them, 0 if there is none."),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_stage_monitor_failures_total", Help: "Times that the state of a stage could not be asked for; then it is as it was."}, byStage),
	}
	for _, s := range o.Stages {
		m.failed.WithLabelValues(s.Name)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(m.unowned, m.lag, m.seconds, m.failed)
	}
	return m, nil
}

// Run watches until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	meters := make([]*lagMeter, len(m.o.Stages))
	for i, s := range m.o.Stages {
		meters[i] = newLagMeter(m.o.Bus, s)
	}
	for ok := true; ok; ok = pause(ctx, m.o.Every) {
		for _, meter := range meters {
			if err := m.look(ctx, meter); err != nil && ctx.Err() == nil {
				m.failed.WithLabelValues(meter.stage.Name).Inc()
				m.log.Warn("watching a stage failed, trying again", zap.String("stage", meter.stage.Name), zap.Error(err))
			}
		}
	}
	return nil
}

// look asks for the state of one stage and shows it.
func (m *Monitor) look(ctx context.Context, meter *lagMeter) error {
	workers, err := m.o.Bus.Workers(ctx, meter.stage.Name)
	if err != nil {
		return err
	}
	end, err := meter.end(ctx)
	if err != nil {
		return err
	}
	var (
		messages uint64
		unowned  int
		oldest   time.Duration
	)
	for p := range m.o.Partitions {
		s, err := m.o.Bus.partitionOwner(ctx, meter.stage, p)
		if err != nil {
			return err
		}
		if !slices.Contains(workers, s.Worker) {
			unowned++
		}
		l, err := meter.measure(ctx, p, s.Done, end)
		if err != nil {
			return err
		}
		messages += l.Messages
		if l.Messages > 0 {
			oldest = max(oldest, time.Since(l.Stored))
		}
	}
	stage := meter.stage.Name
	m.unowned.WithLabelValues(stage).Set(float64(unowned))
	m.lag.WithLabelValues(stage).Set(float64(messages))
	m.seconds.WithLabelValues(stage).Set(oldest.Seconds())
	return nil
}
