package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
)

// session is one worker's hold on one partition, from taking it to losing it.
type session struct {
	partition int
	// token is the sequence of the last checkpoint, the condition of the next.
	token uint64
	// done is up to where the input is committed.
	done progress
	// written is when the checkpoint was published, by this process's clock.
	written time.Time
}

// progress is a place in the input stream.
type progress struct {
	sequence uint64
	stored   time.Time // when the stream stored that message; zero if that is not known
}

// rebalance computes which partitions the worker is to own and releases the others.
func (w *Worker) rebalance(ctx, work context.Context, m *members) {
	want := make(map[int]time.Time)
	for _, p := range assign(w.o.Partitions, m.list(), w.o.ID) {
		want[p] = time.Now()
		if since, ok := w.wanted[p]; ok {
			want[p] = since
		}
	}
	w.wanted = want
	w.log.Info("workers changed", zap.Strings("workers", m.list()), zap.Int("partitions", len(want)))
	var lost []*session
	for p, s := range w.owned {
		if _, ok := want[p]; !ok {
			lost = append(lost, s)
		}
	}
	w.release(work, lost)
	if len(lost) > 0 {
		w.startReader(ctx) // without what was released
	}
	w.takeMissing(ctx, m)
}

// takeMissing takes the partitions that the worker is to own and does not, unless their owner still holds them or a pause
// after a failure is not over.
func (w *Worker) takeMissing(ctx context.Context, m *members) {
	if len(w.owned) == len(w.wanted) {
		w.updateState()
		return
	}
	if time.Now().Before(w.retryAt) {
		return
	}
	var free []*session
	for p, since := range w.wanted {
		if w.owned[p] != nil {
			continue
		}
		s, owner, err := w.lookUp(ctx, p)
		if err != nil {
			w.takeFailed(ctx, err)
			return
		}
		if owner != "" && owner != w.o.ID && m.isAlive(owner) && time.Since(since) < handover {
			continue
		}
		free = append(free, s)
	}
	for len(free) > 0 {
		n := min(len(free), maxBatch)
		if err := w.take(ctx, free[:n]); err != nil {
			w.takeFailed(ctx, err)
			return
		}
		free = free[n:]
	}
	w.updateState()
}

func (w *Worker) takeFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.metrics.failures.WithLabelValues("take").Inc()
	w.log.Warn("taking partitions failed, trying again", zap.Duration("pause", w.backoff), zap.Error(err))
	w.setState(fmt.Errorf("taking partitions: %w", err))
	w.retryAt = time.Now().Add(w.backoff)
	w.backoff = min(2*w.backoff, maxBackoff)
}

// lookUp reads the checkpoint of partition p and says who holds it, "" for nobody.
func (w *Worker) lookUp(ctx context.Context, p int) (*session, string, error) {
	s := &session{partition: p}
	m, err := w.o.Bus.Last(ctx, w.o.Stage.Output, event.CheckpointSubject(w.o.Stage.Name, p))
	if errors.Is(err, ErrNotFound) {
		return s, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	ckpt := new(eventpb.Checkpoint)
	if err := event.Unmarshal(m.Data, ckpt); err != nil {
		return nil, "", fmt.Errorf("checkpoint of partition %d: %w", p, err)
	}
	s.token, s.done.sequence = m.Sequence, ckpt.InputSequence
	if ns := ckpt.InputStoredNs; ns != 0 {
		s.done.stored = time.Unix(0, ns)
	}
	if ckpt.Released {
		return s, "", nil
	}
	return s, ckpt.Worker, nil
}

// take publishes checkpoints that name this worker and begins to read behind them.
func (w *Worker) take(ctx context.Context, sessions []*session) error {
	if err := w.verify(ctx, sessions); err != nil {
		return err
	}
	// Without this the reader would begin where the idlest partition had its last message.
	if err := w.advanceIdle(ctx, sessions); err != nil {
		return err
	}
	failpoint.HitIn("worker.take.before", w.o.Stage.Name)
	if err := w.publishCheckpoints(ctx, sessions, nil, false); err != nil {
		return err
	}
	failpoint.HitIn("worker.take.after", w.o.Stage.Name)
	for _, s := range sessions {
		w.o.Processor.Open(s.partition)
		w.owned[s.partition] = s
		w.lag.committed(s.partition, s.done.sequence)
		w.metrics.owned(s.partition, true)
	}
	w.log.Debug("took partitions", zap.Int("partitions", len(sessions)))
	w.startReader(ctx)
	return nil
}

// drop ends a session without a word to others. What the reader still delivers of it is left aside.
func (w *Worker) drop(s *session) {
	delete(w.owned, s.partition)
	w.lag.dropped(s.partition)
	w.metrics.owned(s.partition, false)
}

// release ends sessions and says so, for their next owners to start at once.
func (w *Worker) release(ctx context.Context, sessions []*session) {
	for _, s := range sessions {
		w.drop(s)
	}
	for len(sessions) > 0 {
		n := min(len(sessions), maxBatch)
		failpoint.HitIn("worker.release.before", w.o.Stage.Name)
		if err := w.publishCheckpoints(ctx, sessions[:n], nil, true); err != nil {
			// Their next owners wait for the hand-over time and take them then.
			w.log.Warn("releasing partitions failed", zap.Error(err))
		}
		failpoint.HitIn("worker.release.after", w.o.Stage.Name)
		sessions = sessions[n:]
	}
}

// releaseAll ends all sessions and the reader, and waits for it.
func (w *Worker) releaseAll(ctx context.Context) {
	all := make([]*session, 0, len(w.owned))
	for _, s := range w.owned {
		all = append(all, s)
	}
	w.release(ctx, all)
	w.stopReader()
	ended := make(chan struct{})
	go func() {
		w.readers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		w.log.Warn("a reader does not end: the NATS server answers nothing")
	}
}

// refresh publishes old checkpoints again, so that trimming can follow: the output stream up to them, and the input stream
// up to what an idle partition has no part in.
func (w *Worker) refresh(ctx context.Context) {
	var old []*session
	for _, s := range w.owned {
		if time.Since(s.written) > w.o.Refresh && len(old) < maxBatch {
			old = append(old, s)
		}
	}
	if len(old) == 0 {
		return
	}
	err := w.verify(ctx, old)
	if err == nil {
		err = w.advanceIdle(ctx, old)
	}
	if err == nil {
		err = w.publishCheckpoints(ctx, old, nil, false)
	}
	if err != nil {
		w.fail(err)
	}
}

// verify makes sure that the input stream still has what was done of it. A stream that was removed, or restored from an old
// copy, gives sequences again, and the messages that get those would be taken for done.
func (w *Worker) verify(ctx context.Context, sessions []*session) error {
	input, output := w.o.Stage.Input, w.o.Stage.Output
	_, end, err := w.o.Bus.Bounds(ctx, input)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.done.sequence > end {
			return fmt.Errorf("partition %d: %w: stream %s ends at %d, and %s says that it is done up to %d",
				s.partition, errLostInput, input, end, output, s.done.sequence)
		}
		if s.done.stored.IsZero() {
			continue
		}
		m, err := w.o.Bus.Find(ctx, input, everything, s.done.sequence)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if m.Sequence == s.done.sequence && !m.Stored.Equal(s.done.stored) {
			return fmt.Errorf("partition %d: %w: stream %s stored message %d at %s, and %s says that it is done since %s",
				s.partition, errLostInput, input, m.Sequence, clock(m.Stored), output, clock(s.done.stored))
		}
	}
	return nil
}

// errLostInput stays until the operator decides: nothing that could be done here would be right for all that may have happened.
var errLostInput = errors.New("the stream has lost messages, see 'A stream that has lost messages' in docs/operations.md")

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// advanceIdle moves sessions whose partitions have nothing left to do to the end of the input stream.
func (w *Worker) advanceIdle(ctx context.Context, sessions []*session) error {
	end, err := w.end(ctx)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.done.sequence >= end.sequence {
			continue
		}
		// The end was read before: what comes into a partition after that lies behind it.
		m, err := w.o.Bus.Find(ctx, w.o.Stage.Input, w.o.Stage.Subject(s.partition), s.done.sequence+1)
		switch {
		case errors.Is(err, ErrNotFound):
			s.done = end
		case err != nil:
			return err
		case m.Sequence > end.sequence:
			s.done = end
		}
	}
	return nil
}

// end returns the last message of the input stream.
func (w *Worker) end(ctx context.Context) (progress, error) {
	_, last, err := w.o.Bus.Bounds(ctx, w.o.Stage.Input)
	if err != nil || last == 0 {
		return progress{}, err
	}
	m, err := w.o.Bus.Find(ctx, w.o.Stage.Input, everything, last)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return progress{}, err
	}
	if m.Sequence != last { // it is removed already
		return progress{sequence: last}, nil
	}
	return progress{sequence: last, stored: m.Stored}, nil
}
