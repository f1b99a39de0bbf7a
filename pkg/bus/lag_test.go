package bus

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
)

// shown returns the values of a metric by its label of one name.
func shown(t *testing.T, r *prometheus.Registry, metric, label string) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == metric && l.GetName() == label {
					values[l.GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
	}
	return values
}

func sum(values map[string]float64) (n float64) {
	for _, v := range values {
		n += v
	}
	return n
}

// TestLagOfAStuckWorker: a worker whose processor hangs shows what comes in meanwhile, and how old it gets.
func TestLagOfAStuckWorker(t *testing.T) {
	b := oneNode(t)
	registry := prometheus.NewRegistry()
	resume := make(chan struct{})
	var once sync.Once
	w, err := NewWorker(WorkerOptions{
		Bus: b, Stage: counterStage(), Partitions: testPartitions, ID: "one", MeasureEvery: 10 * time.Millisecond,
		Processor: &counter{bus: b, counts: make(map[string]int), before: func([]Delivery) error { once.Do(func() { <-resume }); return nil }},
		Logger:    quiet(t), Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	feed(t, b, 3)
	start(t, w.Run)
	stuck := func(want int) {
		t.Helper()
		eventually.Succeeds(t, fmt.Sprintf("the lag is %d messages", want), func() error {
			if lag := shown(t, registry, "zstats_stage_partition_lag_messages", "partition"); sum(lag) != float64(want) || len(lag) != testPartitions {
				return fmt.Errorf("it is %v", lag)
			}
			return nil
		})
	}
	stuck(60)
	feed(t, b, 20)
	stuck(460)
	before := shown(t, registry, "zstats_stage_partition_lag_seconds", "partition")
	eventually.Succeeds(t, "every age with work rises", func() error {
		for p, age := range shown(t, registry, "zstats_stage_partition_lag_seconds", "partition") {
			if before[p] > 0 && age <= before[p] {
				return fmt.Errorf("partition %s: %v after %v", p, age, before[p])
			}
		}
		return nil
	})
	close(resume)
	stuck(0)
	if ages := shown(t, registry, "zstats_stage_partition_lag_seconds", "partition"); sum(ages) != 0 {
		t.Errorf("nothing is left to do, and the ages are %v", ages)
	}
	feed(t, b, 1)
	checkCounts(t, b, 24)
	stuck(0)
}

// TestOnlyOwnersShowLag: what a worker does not own any more is not on its metrics.
func TestOnlyOwnersShowLag(t *testing.T) {
	l := newWorkerLag(nil)
	now := time.Now()
	l.committed(3, 10)
	if n := testutil.CollectAndCount(l); n != 0 {
		t.Errorf("%d metrics before anything was measured", n)
	}
	l.measured(3, Lag{Messages: 2, First: 11, Stored: now.Add(-time.Minute)}, now)
	l.measured(4, Lag{}, now)
	if n := testutil.CollectAndCount(l); n != 2 {
		t.Errorf("%d metrics of one partition, want 2", n)
	}
	l.dropped(3)
	if n := testutil.CollectAndCount(l); n != 0 {
		t.Errorf("%d metrics after it was lost", n)
	}
}

func TestAge(t *testing.T) {
	at := time.Unix(1e9, 0)
	waiting := Lag{Messages: 5, First: 11, Stored: at.Add(-time.Minute)}
	for name, tt := range map[string]struct {
		o    ownedLag
		want time.Duration
	}{
		"nothing":          {ownedLag{done: 10, at: at}, 0},
		"still waits":      {ownedLag{done: 10, lag: waiting, at: at}, 70 * time.Second},
		"done since":       {ownedLag{done: 11, lag: waiting, at: at}, time.Minute},
		"clock of another": {ownedLag{done: 10, lag: Lag{Messages: 1, First: 11, Stored: at.Add(time.Hour)}, at: at}, 0},
	} {
		if got := tt.o.age(at.Add(10 * time.Second)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestMonitor: partitions without a living worker are seen by those who are not of the stage.
func TestMonitor(t *testing.T) {
	b := oneNode(t)
	m, err := NewMonitor(MonitorOptions{
		Bus: b, Stages: []Stage{counterStage()}, Partitions: testPartitions, Every: 10 * time.Millisecond, Logger: quiet(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, m.Run)
	sees := func(unowned, lag float64) {
		t.Helper()
		eventually.Succeeds(t, fmt.Sprintf("%v partitions without a worker and a lag of %v", unowned, lag), func() error {
			u, l := testutil.ToFloat64(m.unowned), testutil.ToFloat64(m.lag)
			if u != unowned || l != lag || (testutil.ToFloat64(m.seconds) > 0) != (lag > 0) {
				return fmt.Errorf("it sees %v and %v, %v old", u, l, testutil.ToFloat64(m.seconds))
			}
			return nil
		})
	}
	feed(t, b, 2)
	eventually.Succeeds(t, "it has looked", func() error {
		if testutil.CollectAndCount(m.unowned) == 0 {
			return errNotYet
		}
		return nil
	})
	sees(testPartitions, 40)
	stop := start(t, newCounter(t, b, "one", nil).Run)
	sees(0, 0)
	stop()
	feed(t, b, 1)
	sees(testPartitions, 20)

	// One that dies leaves checkpoints with its name, but no announcement.
	w := newCounter(t, b, "dead", nil)
	sessions := make([]*session, testPartitions)
	for p := range sessions {
		var err error
		if sessions[p], _, err = w.lookUp(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.publishCheckpoints(t.Context(), sessions, nil, false); err != nil {
		t.Fatal(err)
	}
	sees(testPartitions, 20)
}

// TestLagMeter: what was searched once is not searched again, and nothing is overlooked by that.
func TestLagMeter(t *testing.T) {
	b := oneNode(t)
	m := newLagMeter(b, Stage{Input: event.Raw, Subject: event.RawPartition})
	feed(t, b, 1)
	measure := func(p int, done uint64) Lag {
		t.Helper()
		end, err := m.end(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l, err := m.measure(t.Context(), p, done, end)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	busy, idle := -1, -1
	for p := range 64 {
		switch _, err := b.Find(t.Context(), event.Raw, event.RawPartition(p), 1); {
		case err == nil:
			busy = p
		case errors.Is(err, ErrNotFound):
			idle = p
		default:
			t.Fatal(err)
		}
	}
	if busy < 0 || idle < 0 {
		t.Fatal("the targets are in all partitions, or in none")
	}
	if l := measure(idle, 0); l != (Lag{}) || m.empty[idle] != 20 {
		t.Errorf("idle: %+v, searched up to %d", l, m.empty[idle])
	}
	first := measure(busy, 0)
	if first.Messages == 0 || first.Stored.IsZero() {
		t.Errorf("busy: %+v", first)
	}
	feed(t, b, 3)
	if l := measure(idle, 0); l != (Lag{}) || m.empty[idle] != 80 {
		t.Errorf("idle after more: %+v, searched up to %d", l, m.empty[idle])
	}
	if l := measure(busy, 0); l.Messages != 4*first.Messages || l.First != first.First {
		t.Errorf("busy after more: %+v, want four times %+v", l, first)
	}
	if l := measure(busy, first.First); l.Messages != 4*first.Messages-1 || l.First <= first.First {
		t.Errorf("busy after one was done: %+v", l)
	}
	m.empty[busy] = 1000 // of a stream that was longer
	if l := measure(busy, 0); l.Messages != 4*first.Messages {
		t.Errorf("a stream that was made anew: %+v", l)
	}
}
