package replay

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/render"
)

// group is what is read and made durable together.
type group struct {
	messages []bus.Message
	last     uint64 // sequence of the last message
}

// replay handles all messages from the position on: one goroutine reads groups, this one has them worked on, and while it does so
// the group before is settled.
func (r *Replay) replay(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	groups := make(chan group, 1)
	var failed error // of reading; valid once groups is closed
	go func() {
		defer close(groups)
		failed = r.read(reading, groups)
	}()
	// What has begun is finished, also if ctx ends: it takes moments.
	settling := newSettling()
	for g := range groups {
		err := r.handle(context.WithoutCancel(ctx), g, settling)
		if err != nil || ctx.Err() != nil {
			stop()
			for range groups { // until the reader has ended
			}
			err = errors.Join(err, r.settled(settling))
			return errors.Join(err, r.interrupted(ctx, err))
		}
	}
	if err := r.settled(settling); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return r.interrupted(ctx, nil)
	}
	return failed
}

// interrupted makes a last checkpoint when the context has ended, unless something failed.
func (r *Replay) interrupted(ctx context.Context, err error) error {
	if err != nil || ctx.Err() == nil {
		return nil
	}
	return errors.Join(ErrInterrupted, r.save(false))
}

// read passes on the messages of the span behind the position, in groups.
func (r *Replay) read(ctx context.Context, groups chan<- group) error {
	if r.position >= r.span.Last {
		return nil
	}
	var g group
	size := 0
	pass := func() error {
		select {
		case groups <- g:
			g, size = group{}, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	end := errors.New("end of the span")
	o := bus.ReadOptions{
		Stream: r.o.Source.stream(), Subjects: []string{r.selection.subject(r.o.Source)}, From: r.position + 1, MaxPending: 8 << 20,
	}
	err := r.o.Bus.Scan(ctx, o, func(m bus.Message) error {
		if m.Sequence > r.span.Last {
			return end
		}
		g.messages, g.last = append(g.messages, m), m.Sequence
		size += len(m.Data)
		if len(g.messages) < r.o.GroupMessages && size < r.o.GroupBytes {
			return nil
		}
		return pass()
	})
	if err != nil && !errors.Is(err, end) {
		return err
	}
	if len(g.messages) > 0 {
		return pass()
	}
	return nil
}

// settling is the end of the work on a group, beside the work on the next one.
type settling struct {
	done   chan error
	report *Report // of the group, valid after wait
}

func newSettling() *settling { return &settling{} }

// wait returns when the group is settled, or there is none.
func (s *settling) wait() error {
	if s.done == nil {
		return nil
	}
	err := <-s.done
	s.done = nil
	return err
}

// handle works on a group and begins to settle it.
func (r *Replay) handle(ctx context.Context, g group, before *settling) error {
	if err := r.sink.begin(); err != nil {
		return err
	}
	if err := r.work(ctx, g.messages); err != nil {
		return err
	}
	if err := r.settled(before); err != nil {
		return err
	}
	made := inOrder(r.shards)
	report := new(Report)
	for _, s := range r.shards {
		report.add(&s.report)
		s.reset()
	}
	before.report, before.done = report, make(chan error, 1)
	done := before.done
	go func() { done <- r.sink.settle(made, report) }()
	r.position = g.last
	if time.Since(r.saved) < max(r.o.CheckpointEvery, 20*r.saving) {
		return nil
	}
	if err := r.settled(before); err != nil {
		return err
	}
	return r.save(false)
}

// settled waits until the group before is durable, and counts it.
func (r *Replay) settled(before *settling) error {
	if before.done == nil {
		return nil
	}
	if err := before.wait(); err != nil {
		return err
	}
	r.report.add(before.report)
	r.done.Store(r.position)
	return nil
}

// work has the shards handle the messages of a group, as many at once as there are renderers.
func (r *Replay) work(ctx context.Context, messages []bus.Message) error {
	for i := range messages {
		s := r.shardOf(messages[i].Subject)
		s.jobs = append(s.jobs, i)
	}
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for _, renderer := range r.renderers {
		workers.Go(func() error { return r.workOn(ctx, &next, renderer, messages) })
	}
	return workers.Wait()
}

// workOn handles one shard after the other until none is left.
func (r *Replay) workOn(ctx context.Context, next *atomic.Int64, renderer *render.Renderer, messages []bus.Message) error {
	for {
		i := int(next.Add(1)) - 1
		if i >= len(r.shards) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.shards[i].work(ctx, renderer, messages); err != nil {
			return err
		}
	}
}

// shardOf returns the shard of the chain that a subject belongs to. Partition, account and target say which; what stands before
// them differs by stream, and what stands behind them, in subjects of requeued letters, by letter.
func (r *Replay) shardOf(subject string) *shard {
	tokens := strings.SplitN(subject, ".", 6)
	h := fnv.New32a()
	for _, token := range tokens[min(2, len(tokens)):min(5, len(tokens))] {
		_, _ = h.Write([]byte(token)) // never fails
		_, _ = h.Write([]byte{'.'})
	}
	return r.shards[h.Sum32()%uint32(len(r.shards))]
}

// finish ends a replay that has handled everything.
func (r *Replay) finish(ctx context.Context) error {
	r.position = max(r.position, r.span.Last)
	r.done.Store(r.position)
	if err := r.checkTrimmed(ctx); err != nil {
		return err
	}
	if err := r.sink.finish(&r.report); err != nil {
		return err
	}
	return r.save(true)
}

// save makes a checkpoint at the position, up to which everything is durable.
func (r *Replay) save(done bool) error {
	if err := r.checkTrimmed(context.Background()); err != nil {
		return err
	}
	if r.journal == nil {
		return nil
	}
	start := time.Now()
	c := &checkpoint{
		Version: checkpointVersion, request: requestOf(&r.o), Span: r.span, Position: r.position, Done: done, Report: r.report.clone(),
	}
	if r.o.Source == FromRaw && !done {
		var err error
		if c.States, err = r.journal.saveStates(r.position, r.shards); err != nil {
			return err
		}
	}
	if err := r.journal.save(c); err != nil {
		return err
	}
	r.saved, r.saving = time.Now(), time.Since(start)
	return nil
}

// checkTrimmed notes in the report if messages of the span were removed before they were read.
func (r *Replay) checkTrimmed(ctx context.Context) error {
	first, _, err := r.o.Bus.Bounds(ctx, r.o.Source.stream())
	if err != nil {
		return err
	}
	if first > r.position+1 && r.position < r.span.Last {
		r.report.Trimmed = true
	}
	return nil
}
