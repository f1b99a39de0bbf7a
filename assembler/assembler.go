package assembler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Assembler is the stage that rebuilds scrapes.
type Assembler struct {
	o       Options
	worker  *bus.Worker
	metrics *metrics
	log     *zap.Logger

	// What follows belongs to the worker's goroutine.

	states *stateCache
	marked map[scrape.Target]bool // marked for a resync, and no full blob since
}

// New returns an assembler.
func New(o Options) (*Assembler, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registerer)
	a := &Assembler{
		o: o, metrics: m, log: o.Logger.With(zap.String("stage", event.StageAssembler)),
		states: newStateCache(o.Partitions, o.CacheBytes, m),
		marked: make(map[scrape.Target]bool),
	}
	var err error
	a.worker, err = bus.NewWorker(bus.WorkerOptions{
		Bus: o.Bus,
		Stage: bus.Stage{
			Name: event.StageAssembler, Input: event.Raw, Output: event.Scrapes, Subject: event.RawPartition,
		},
		Partitions: o.Partitions,
		Processor:  a,
		ID:         o.ID,
		Linger:     o.Linger,
		Logger:     o.Logger,
		Registerer: o.Registerer,
	})
	return a, err
}

// Run rebuilds scrapes until ctx ends. It may be called once.
func (a *Assembler) Run(ctx context.Context) error { return a.worker.Run(ctx) }

// Ready reports why scrapes are not rebuilt now, or nil.
func (a *Assembler) Ready() error { return a.worker.Ready() }

// Open forgets the states of partition p; bus.Worker calls it.
func (a *Assembler) Open(p int) {
	a.states.forget(p)
	maps.DeleteFunc(a.marked, func(t scrape.Target, _ bool) bool { return t.Partition(a.o.Partitions) == p })
}

// Process folds a batch; bus.Worker calls it. Schemas, dead letters and marks are durable when it returns.
func (a *Assembler) Process(ctx context.Context, batch []bus.Delivery) ([]bus.Output, error) {
	s := &step{a: a, states: make(map[scrape.Target]*scrape.State), schemas: make(map[string]bus.Message), marks: make(map[scrape.Target]mark)}
	for i, d := range batch {
		a.metrics.bytesIn.Add(float64(len(d.Data)))
		if err := s.fold(ctx, i, d); err != nil {
			return nil, err
		}
	}
	schemas := slices.Collect(maps.Values(s.schemas))
	if err := a.o.Bus.AppendAll(ctx, event.Schemas, schemas); err != nil {
		return nil, fmt.Errorf("publish schemas: %w", err)
	}
	if err := a.o.Bus.AppendAll(ctx, event.Dead, s.dead); err != nil {
		return nil, fmt.Errorf("publish dead letters: %w", err)
	}
	if err := a.putMarks(ctx, s.marks); err != nil {
		return nil, err
	}
	for t, st := range s.states {
		a.states.put(t, st)
	}
	return s.outputs, nil
}

// state returns what is known of a target: from this batch, from memory or from the log. A target never seen has the zero
// state.
func (s *step) state(ctx context.Context, t scrape.Target) (*scrape.State, error) {
	if st, ok := s.states[t]; ok {
		return st, nil
	}
	if st, ok := s.a.states.get(t); ok {
		return st, nil
	}
	m, err := s.a.o.Bus.Last(ctx, event.Scrapes, event.ScrapeSubject(t, s.a.o.Partitions))
	if errors.Is(err, bus.ErrNotFound) {
		return new(scrape.State), nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", t, err)
	}
	st, err := event.DecodeState(m.Data)
	if err != nil {
		return nil, fmt.Errorf("state of %s, message %d of %s: %w", t, m.Sequence, event.Scrapes, err)
	}
	return st, nil
}
