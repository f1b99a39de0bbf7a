package assembler

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// Assembler is the stage that rebuilds scrapes.
type Assembler struct {
	o       Options
	log     eventLog
	marks   marks
	worker  *bus.Worker
	metrics *metrics
	logger  *zap.Logger

	// What follows belongs to the goroutine that calls Open and Process.

	targets   *targetCache
	announced *announced
	buried    *buried

	// Faults of targets can come by the thousand. The metrics count each one, the log shows samples.
	deadLog, conflictLog rate.Sometimes
}

// eventLog is what the assembler asks of the log beside running its worker.
type eventLog interface {
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
	Get(ctx context.Context, stream string, sequence uint64) (bus.Message, error)
	AppendAll(ctx context.Context, stream string, msgs []bus.Message) error
}

// marks is where resync marks are put.
type marks interface {
	Put(ctx context.Context, key string, value []byte) error
}

// New returns an assembler.
func New(o Options) (*Assembler, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registerer)
	a := &Assembler{
		o: o, log: o.Bus, marks: o.Marks, metrics: m,
		logger:      o.Logger.With(zap.String("stage", event.StageAssembler)),
		targets:     newTargetCache(o.Partitions, o.CacheBytes, m),
		announced:   newAnnounced(o.ReannouncePeriod),
		buried:      newBuried(),
		deadLog:     rate.Sometimes{First: 10, Interval: 10 * time.Second},
		conflictLog: rate.Sometimes{First: 1, Interval: time.Minute},
	}
	var err error
	a.worker, err = bus.NewWorker(a.workerOptions())
	return a, err
}

func (a *Assembler) workerOptions() bus.WorkerOptions {
	return bus.WorkerOptions{
		Bus:        a.o.Bus,
		Stage:      bus.AssemblerStage(),
		Partitions: a.o.Partitions,
		Processor:  a,
		ID:         a.o.ID,
		MaxBatch:   a.o.MaxBatch,
		Linger:     a.o.Linger,
		Logger:     a.o.Logger,
		Registerer: a.o.Registerer,
	}
}

// Run rebuilds scrapes until ctx ends. It may be called once.
func (a *Assembler) Run(ctx context.Context) error { return a.worker.Run(ctx) }

// Ready reports why scrapes are not rebuilt now, or nil.
func (a *Assembler) Ready() error { return a.worker.Ready() }

// Open forgets the targets of partition p; bus.Worker calls it.
func (a *Assembler) Open(p int) { a.targets.forget(p) }

// Process folds a batch, or its beginning if the scrapes of all of it would take too much memory; bus.Worker calls it. When it
// returns without an error, or a *bus.Partial, then schemas, dead letters and marks are durable. After another error nothing
// that was computed is kept, but the worker must open the batch's partitions again, as some of it may be published already.
func (a *Assembler) Process(ctx context.Context, batch []bus.Delivery) ([]bus.Output, error) {
	start := time.Now()
	s := newStep(a, batch)
	done, err := s.foldAll(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx); err != nil {
		return nil, err
	}
	// The next batch comes only if this one was committed, or else after Open. So its states may count from here on.
	for _, t := range s.order {
		a.targets.put(t)
	}
	a.metrics.processed(s, time.Since(start))
	if done < len(batch) {
		return s.outputs, &bus.Partial{Done: done}
	}
	return s.outputs, nil
}
