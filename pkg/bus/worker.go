package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/zstats/zstats/pkg/event"
)

// Stage is a step of the pipeline: what it reads, what it writes, and under which name it keeps checkpoints.
type Stage struct {
	Name   string
	Input  string // stream
	Output string // stream, which also holds the checkpoints
	// Subject matches all input of partition p, or of all if p is AllPartitions.
	Subject func(p int) string
	// Partition returns the partition of a message with the given subject.
	Partition func(subject string) (p int, ok bool)
}

// AllPartitions stands for all partitions where one is asked for.
const AllPartitions = event.AllPartitions

// Delivery is one input message, perhaps a broken one.
type Delivery struct {
	Partition int
	Message
}

// Output is a message for the stage's output stream.
type Output struct {
	// Input is the index, in the batch, of the delivery that the message comes from.
	Input int
	Message
}

// Processor is what a stage does. Its methods are called by one goroutine.
type Processor interface {
	// Open says that the worker takes partition p, perhaps not for the first time. What is known about p may be outdated
	// and must be forgotten.
	Open(p int)
	// Process handles a batch of deliveries; those of one partition are in order. The outputs, whose Inputs must not descend,
	// are committed with the checkpoints of the batch's partitions. On an error nothing is committed: after a pause the
	// worker opens its partitions anew and delivers again from the last checkpoints.
	//
	// With a *Partial as its error, it has handled the beginning of the batch only. The outputs are of that, and are
	// committed; the rest is handed over next.
	Process(ctx context.Context, batch []Delivery) ([]Output, error)
}

// Partial says that a Processor handled only so many deliveries, because the outputs of the whole batch would take too much
// memory. There is at least one, and at least one is left.
type Partial struct{ Done int }

func (p *Partial) Error() string { return fmt.Sprintf("handled only %d deliveries", p.Done) }

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	Bus        *Bus
	Stage      Stage
	Partitions int
	Processor  Processor
	// ID names the worker; no other worker of the stage may have the same. It is a token: letters, digits, '-' and '_'.
	ID string
	// MaxBatch bounds the deliveries of a batch; 0 is 400.
	MaxBatch int
	// MaxBytes bounds the data that is read ahead and not yet committed, in bytes, unless a single message is larger; 0 is
	// 64 MiB.
	MaxBytes int
	// Linger is how long a batch waits for more deliveries after its first; 0 is 20 ms. It trades delay for fewer commits.
	Linger time.Duration
	// TTL is how long a silent worker counts as alive; 0 is 6 s.
	TTL time.Duration
	// Refresh is the age at which a checkpoint is published again, so that trimming can follow; 0 is 10 min.
	Refresh time.Duration
	// MeasureEvery is how often the lag is measured; 0 is 5 s.
	MeasureEvery time.Duration
	Logger       *zap.Logger
	Registerer   prometheus.Registerer
}

func (o *WorkerOptions) setDefaults() {
	if o.MaxBatch == 0 {
		o.MaxBatch = 400
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Linger == 0 {
		o.Linger = 20 * time.Millisecond
	}
	if o.TTL == 0 {
		o.TTL = 6 * time.Second
	}
	if o.Refresh == 0 {
		o.Refresh = 10 * time.Minute
	}
	if o.MeasureEvery == 0 {
		o.MeasureEvery = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

const (
	// handover is how long a worker waits for a living one to release a partition before it takes it all the same.
	handover = 3 * time.Second
	// handoverPoll is how often it looks.
	handoverPoll = 100 * time.Millisecond
	// grace is how long a stop waits for the batch in hand.
	grace = 4 * time.Second
	// minBackoff and maxBackoff bound the pause after a failure.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Worker runs a stage on its share of the partitions. See the package's documentation for how it commits exactly once.
type Worker struct {
	o       WorkerOptions
	metrics *workerMetrics
	lag     *workerLag
	log     *zap.Logger

	// What follows belongs to the goroutine of Run.

	owned      map[int]*session
	wanted     map[int]time.Time // partitions to own, and since when
	deliveries chan delivery
	faults     chan fault
	budget     *semaphore.Weighted // bytes read ahead
	reader     *partitionReader
	readers    sync.WaitGroup
	backoff    time.Duration
	retryAt    time.Time
	waiting    bool // for room on the disk

	mu    sync.Mutex // guards state
	state error      // why the worker is not ready
}

// NewWorker returns a worker.
func NewWorker(o WorkerOptions) (*Worker, error) {
	if o.Bus == nil || o.Processor == nil || o.Partitions < 1 || o.ID == "" || o.Stage.Name == "" ||
		o.Stage.Subject == nil || o.Stage.Partition == nil {
		return nil, errors.New("worker: Bus, Stage, Partitions, Processor and ID are required")
	}
	o.setDefaults()
	own := prometheus.Labels{"stage": o.Stage.Name}
	lag := newWorkerLag(own)
	if o.Registerer != nil {
		o.Registerer.MustRegister(lag)
	}
	return &Worker{
		o:          o,
		metrics:    newWorkerMetrics(o.Registerer, own, o.Partitions),
		lag:        lag,
		log:        o.Logger.With(zap.String("stage", o.Stage.Name), zap.String("worker", o.ID)),
		owned:      make(map[int]*session),
		wanted:     make(map[int]time.Time),
		deliveries: make(chan delivery, o.MaxBatch),
		faults:     make(chan fault, 1),
		budget:     semaphore.NewWeighted(int64(o.MaxBytes)),
		backoff:    minBackoff,
		state:      errors.New("has not taken its partitions yet"),
	}, nil
}

// Ready reports why the worker does not work now, or nil.
func (w *Worker) Ready() error {
	w.mu.Lock()
	state := w.state
	w.mu.Unlock()
	if state == nil {
		state = w.o.Bus.Ready()
	}
	if state != nil {
		return fmt.Errorf("stage %s: %w", w.o.Stage.Name, state)
	}
	return nil
}

func (w *Worker) setState(err error) {
	w.mu.Lock()
	w.state = err
	w.mu.Unlock()
}

// Run works until ctx ends; then it commits what it has in hand, releases its partitions and returns nil. There is no other end:
// what fails is tried again, and Ready says why.
func (w *Worker) Run(ctx context.Context) error {
	m := w.join(ctx)
	if m == nil {
		return nil // stopped before anything was taken
	}
	changed := make(chan struct{}, 1)
	var running sync.WaitGroup
	running.Go(func() {
		m.run(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already
			}
		})
	})
	running.Go(func() { w.measureLag(ctx) })
	work, cancel := outlive(ctx, grace)
	defer cancel()
	w.loop(ctx, work, m, changed)
	w.releaseAll(work)
	running.Wait()
	if err := m.leave(work); err != nil {
		w.log.Warn("leaving failed, others will notice in a while", zap.Error(err))
	}
	return nil
}

// join announces the worker to the others, and goes on trying until ctx ends; then the result is nil.
func (w *Worker) join(ctx context.Context) *members {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		m, err := joinMembers(ctx, w.o.Bus, w.o.Stage.Name, w.o.ID, w.o.TTL, w.log)
		if err == nil {
			return m
		}
		if ctx.Err() != nil {
			return nil
		}
		w.setState(fmt.Errorf("can't be announced to the other workers: %w", err))
		w.log.Warn("announcing this worker failed, trying again", zap.Duration("pause", wait), zap.Error(err))
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// outlive returns a context that ends a while after ctx does.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-work.Done():
		}
	})
	return work, func() { stop(); cancel() }
}

// loop serves until ctx ends.
func (w *Worker) loop(ctx, work context.Context, m *members, changed <-chan struct{}) {
	tick := time.NewTicker(handoverPoll)
	defer tick.Stop()
	for {
		deliveries := w.deliveries
		if w.waitsForRoom() {
			deliveries = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			w.rebalance(ctx, work, m)
		case <-tick.C:
			w.takeMissing(ctx, m)
			w.readAgain(ctx)
			w.refresh(work)
		case f := <-w.faults:
			w.readerFailed(f)
		case d := <-deliveries:
			w.step(ctx, work, d)
		}
	}
}

// waitsForRoom reports whether the disk of the log is so full that nothing is taken in hand. The partitions stay owned: waiting
// writes nothing, while to give them up and take them again would.
func (w *Worker) waitsForRoom() bool {
	err := w.o.Bus.roomForWork()
	if err != nil {
		w.setState(err)
		w.waiting = true
		return true
	}
	if w.waiting {
		w.waiting = false
		w.updateState()
	}
	return false
}

// step handles the batch that begins with first.
func (w *Worker) step(ctx, work context.Context, first delivery) {
	batch := w.gather(ctx, first)
	defer w.giveBack(batch)
	batch, input := w.current(batch)
	if len(batch) == 0 {
		return
	}
	for len(batch) > 0 {
		outputs, done, err := w.process(work, input)
		if err == nil {
			err = w.commit(work, batch[:done], outputs)
		}
		if err != nil {
			w.fail(err)
			return
		}
		w.backoff = minBackoff
		w.metrics.committed(batch[:done], len(outputs))
		batch, input = batch[done:], input[done:]
	}
	w.updateState()
}

// updateState notes that the worker is ready if it has all that it is to own.
func (w *Worker) updateState() {
	if !w.waiting && len(w.owned) == len(w.wanted) && (w.reader != nil || len(w.owned) == 0) {
		w.setState(nil)
	}
}

// gather adds to first what comes within the linger time, up to the limits.
func (w *Worker) gather(ctx context.Context, first delivery) []delivery {
	batch := []delivery{first}
	bytes := len(first.Data)
	linger := time.NewTimer(w.o.Linger)
	defer linger.Stop()
	for len(batch) < w.o.MaxBatch && bytes < maxBatchBytes {
		select {
		case d := <-w.deliveries:
			batch = append(batch, d)
			bytes += len(d.Data)
		case <-linger.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// current drops what an earlier reader delivered, or of sessions that have ended.
func (w *Worker) current(batch []delivery) ([]delivery, []Delivery) {
	kept := make([]delivery, 0, len(batch))
	input := make([]Delivery, 0, len(batch))
	for _, d := range batch {
		if d.reader == w.reader && w.owned[d.Partition] == d.from {
			kept = append(kept, d)
			input = append(input, d.Delivery)
		}
	}
	return kept, input
}

func (w *Worker) giveBack(batch []delivery) {
	for _, d := range batch {
		w.budget.Release(d.weight)
	}
}

// process calls the processor and says how many deliveries it has handled. A panic becomes an error: one bad message must not
// end the process.
func (w *Worker) process(ctx context.Context, input []Delivery) (outputs []Output, done int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	outputs, err = w.o.Processor.Process(ctx, input)
	var partial *Partial
	if errors.As(err, &partial) && 0 < partial.Done && partial.Done < len(input) {
		return outputs, partial.Done, nil
	}
	return outputs, len(input), err
}

// fail gives up all partitions for a while, since what the processor and the sessions know may be wrong.
func (w *Worker) fail(err error) {
	reason := "failed"
	if errors.Is(err, ErrFenced) {
		reason = "fenced"
		// Whoever was there first gets the time of a hand-over, or two workers would take from each other in turn.
		for p := range w.owned {
			w.wanted[p] = time.Now()
		}
	}
	w.metrics.failures.WithLabelValues(reason).Inc()
	w.log.Warn("batch was not committed, taking the partitions anew",
		zap.String("reason", reason), zap.Duration("pause", w.backoff), zap.Error(err))
	w.setState(err)
	w.stopReader()
	for _, s := range w.owned {
		w.drop(s)
	}
	w.retryAt = time.Now().Add(w.backoff)
	w.backoff = min(2*w.backoff, maxBackoff)
}
