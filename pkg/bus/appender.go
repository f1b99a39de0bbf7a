package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/zstats/zstats/pkg/failpoint"
)

// AppenderOptions configure an Appender.
type AppenderOptions struct {
	Bus    *Bus
	Stream string
	// MaxPending bounds the messages that wait for their batch; callers beyond it wait. 0 is 4,096.
	MaxPending int
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// maxBatchBytes is how much data the appender and the worker put into one batch, unless a single message is larger.
const maxBatchBytes = 16 << 20

// Appender appends the messages of many concurrent callers to one stream with few fsyncs: on a single node it merges them
// into atomic batches, one in flight, which grow while the one before is being synced; in a cluster it publishes them
// at once and lets Raft group them.
type Appender struct {
	bus     *Bus
	stream  string
	queue   chan *appendCall
	pending int
	slots   *semaphore.Weighted // one for each pending message
	metrics *appenderMetrics
	log     *zap.Logger

	mu     sync.Mutex // guards closed, and orders sends on queue before its close
	closed bool
}

// appendCall is one caller's messages.
type appendCall struct {
	entries   []entry
	ends      []int // entries up to and including each message
	bytes     int
	sequences []uint64
	err       error
	done      chan struct{}
}

// errAppenderClosed tells callers that come after the end.
var errAppenderClosed = errors.New("appender has ended")

// NewAppender returns an appender. It appends only while Run runs.
func NewAppender(o AppenderOptions) (*Appender, error) {
	if o.Bus == nil || o.Stream == "" {
		return nil, errors.New("appender: Bus and Stream are required")
	}
	if o.MaxPending == 0 {
		o.MaxPending = 4096
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Appender{
		bus:     o.Bus,
		stream:  o.Stream,
		queue:   make(chan *appendCall, o.MaxPending),
		pending: o.MaxPending,
		slots:   semaphore.NewWeighted(int64(o.MaxPending)),
		metrics: newAppenderMetrics(o.Registerer, o.Stream),
		log:     o.Logger.With(zap.String("stream", o.Stream)),
	}, nil
}

// Run publishes until ctx ends and what was taken until then is answered.
func (a *Appender) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, a.close)
	defer stop()
	// What was taken is brought to an end: the publications have a timeout of their own.
	work := context.WithoutCancel(ctx)
	if a.bus.Clustered() {
		a.pipeline(work)
	} else {
		a.group(work)
	}
	return nil
}

func (a *Appender) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	close(a.queue)
}

// Append publishes msgs and returns their sequences once all are durable. On a single node they are stored in order; in a
// cluster, where each is published by itself, in any. After an error some of them may be stored.
func (a *Appender) Append(ctx context.Context, msgs []Message) ([]uint64, error) {
	if len(msgs) == 0 {
		return nil, nil
	}
	call := &appendCall{done: make(chan struct{}), ends: make([]int, len(msgs))}
	for i, m := range msgs {
		call.entries = append(call.entries, entries(a.stream, m)...)
		call.ends[i] = len(call.entries)
		call.bytes += len(m.Data)
	}
	if err := a.take(ctx, call); err != nil {
		return nil, fmt.Errorf("append to %s: %w", a.stream, err)
	}
	// The caller waits even if its context ends: only the answer tells what became of the messages.
	<-call.done
	return call.sequences, call.err
}

// take queues the call when there is room for its messages.
func (a *Appender) take(ctx context.Context, call *appendCall) error {
	if err := a.slots.Acquire(ctx, a.weight(call)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		a.slots.Release(a.weight(call))
		return errAppenderClosed
	}
	a.queue <- call // never blocks: each call in it holds at least one of as many slots
	return nil
}

// weight is how many slots a call holds; one that exceeds them all waits for all.
func (a *Appender) weight(c *appendCall) int64 { return int64(min(len(c.ends), a.pending)) }

// group publishes what waits as one batch after the other.
func (a *Appender) group(ctx context.Context) {
	var next *appendCall // taken from the queue, did not fit
	for {
		calls := a.gather(next)
		if len(calls) == 0 {
			return
		}
		calls, next = fitting(calls)
		a.publish(ctx, calls)
	}
}

// gather waits for a call and takes what else is waiting, up to a batch and one call more. It returns nothing once the
// queue is closed and empty.
func (a *Appender) gather(first *appendCall) []*appendCall {
	if first == nil {
		var ok bool
		if first, ok = <-a.queue; !ok {
			return nil
		}
	}
	calls := []*appendCall{first}
	for count, bytes := len(first.entries), first.bytes; count <= maxBatch && bytes <= maxBatchBytes; {
		select {
		case c, ok := <-a.queue:
			if !ok {
				return calls
			}
			calls = append(calls, c)
			count += len(c.entries)
			bytes += c.bytes
		default:
			return calls
		}
	}
	return calls
}

// fitting splits off the last call if it makes the batch too large.
func fitting(calls []*appendCall) (batch []*appendCall, rest *appendCall) {
	count, bytes := 0, 0
	for i, c := range calls {
		count += len(c.entries)
		bytes += c.bytes
		if i > 0 && (count > maxBatch || bytes > maxBatchBytes) {
			return calls[:i], c
		}
	}
	return calls, nil
}

func (a *Appender) publish(ctx context.Context, calls []*appendCall) {
	var all []entry
	for _, c := range calls {
		all = append(all, c.entries...)
	}
	if len(all) > maxBatch { // only a single call can be
		a.publishSplit(ctx, calls[0])
		return
	}
	last, err := a.bus.publish(ctx, a.stream, all)
	a.metrics.observe(len(all), err)
	before := 0
	for _, c := range calls {
		c.finish(last-uint64(len(all)-before), err)
		before += len(c.entries)
		a.slots.Release(a.weight(c))
	}
}

// publishSplit publishes one call in several batches, cut between messages.
func (a *Appender) publishSplit(ctx context.Context, c *appendCall) {
	defer a.slots.Release(a.weight(c))
	defer close(c.done)
	for from, i := 0, 0; i < len(c.ends); {
		to := from
		for i < len(c.ends) && c.ends[i]-from <= maxBatch {
			to = c.ends[i]
			i++
		}
		if to == from {
			c.err = fmt.Errorf("append to %s: message of %d parts: %w", a.stream, c.ends[i]-from-1, ErrTooLarge)
			return
		}
		last, err := a.bus.publish(ctx, a.stream, c.entries[from:to])
		a.metrics.observe(to-from, err)
		if err != nil {
			c.err = err
			return
		}
		for j := len(c.sequences); j < i; j++ {
			c.sequences = append(c.sequences, last-uint64(to-c.ends[j]))
		}
		from = to
		failpoint.Hit("log.split")
	}
}

// finish answers the call; before is the sequence before its first entry.
func (c *appendCall) finish(before uint64, err error) {
	c.err = err
	if err == nil {
		c.sequences = make([]uint64, len(c.ends))
		for i, end := range c.ends {
			c.sequences[i] = before + uint64(end)
		}
	}
	close(c.done)
}

// pipeline publishes each call's messages at once, each message by itself, many calls at a time.
func (a *Appender) pipeline(ctx context.Context) {
	var running sync.WaitGroup
	for c := range a.queue {
		running.Go(func() {
			defer a.slots.Release(a.weight(c))
			c.sequences, c.err = a.publishEach(ctx, c)
			close(c.done)
		})
	}
	running.Wait()
}

// publishEach publishes the messages of a call without waiting in between and then waits for all.
func (a *Appender) publishEach(ctx context.Context, c *appendCall) ([]uint64, error) {
	sequences := make([]uint64, len(c.ends))
	errs := make([]error, len(c.ends))
	var running sync.WaitGroup
	from := 0
	for i, end := range c.ends {
		own := c.entries[from:end]
		from = end
		running.Go(func() {
			sequences[i], errs[i] = a.bus.publish(ctx, a.stream, own)
			a.metrics.observe(len(own), errs[i])
		})
	}
	running.Wait()
	return sequences, errors.Join(errs...)
}

type appenderMetrics struct {
	batches  prometheus.Counter
	messages prometheus.Counter
	failures prometheus.Counter
}

func newAppenderMetrics(r prometheus.Registerer, stream string) *appenderMetrics {
	labels := prometheus.Labels{"stream": stream}
	m := &appenderMetrics{
		batches:  prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_log_batches_total", Help: "Durable writes to a stream.", ConstLabels: labels}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_log_messages_total", Help: "Messages written to a stream.", ConstLabels: labels}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "zstats_log_failures_total", Help: "Writes to a stream that failed or whose outcome is unknown.", ConstLabels: labels}),
	}
	if r != nil {
		r.MustRegister(m.batches, m.messages, m.failures)
	}
	return m
}

func (m *appenderMetrics) observe(messages int, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.batches.Inc()
	m.messages.Add(float64(messages))
}
