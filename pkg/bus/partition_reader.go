package bus

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// partitionReader reads the input of all partitions that a worker owns, in the stream's order. One reader for all costs the
// server much less than one for each. When the set of partitions changes it is replaced; nothing is lost by that, since the
// new one starts behind what is committed.
type partitionReader struct {
	stop context.CancelFunc
	// from is the session of each partition as it was when the reader began.
	from map[int]*session
	// done is how far each partition's input was committed then: the reader starts at the least and skips the rest.
	done map[int]uint64
}

// delivery is a message on its way from the reader to the loop.
type delivery struct {
	Delivery
	reader *partitionReader
	from   *session
	weight int64 // of the budget, to be given back
}

// fault is a reader's end.
type fault struct {
	reader *partitionReader
	err    error
}

// startReader begins to read for all sessions, in place of the reader that there is.
func (w *Worker) startReader(ctx context.Context) {
	w.stopReader()
	if len(w.owned) == 0 {
		return
	}
	readCtx, stop := context.WithCancel(ctx)
	r := &partitionReader{stop: stop, from: maps.Clone(w.owned), done: make(map[int]uint64, len(w.owned))}
	for p, s := range w.owned {
		r.done[p] = s.done.sequence
	}
	w.reader = r
	w.readers.Go(func() { w.read(readCtx, r) })
}

func (w *Worker) stopReader() {
	if w.reader != nil {
		w.reader.stop()
		w.reader = nil
	}
}

// read passes input on until ctx ends or reading fails.
func (w *Worker) read(ctx context.Context, r *partitionReader) {
	err := w.readAll(ctx, r)
	if ctx.Err() != nil {
		return
	}
	select {
	case w.faults <- fault{reader: r, err: err}:
	case <-ctx.Done():
	}
}

func (w *Worker) readAll(ctx context.Context, r *partitionReader) error {
	reader, err := w.o.Bus.Read(ctx, ReadOptions{
		Stream:     w.o.Stage.Input,
		Subjects:   w.subjects(r),
		From:       slices.Min(slices.Collect(maps.Values(r.done))) + 1,
		MaxPending: min(w.o.MaxBytes, 16<<20),
		Broken:     true,
	})
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		m, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		p, ok := w.o.Stage.Partition(m.Subject)
		s := r.from[p]
		if !ok || s == nil || m.Sequence <= r.done[p] {
			continue
		}
		d := delivery{
			Delivery: Delivery{Partition: p, Message: m}, reader: r, from: s,
			weight: int64(min(len(m.Data), w.o.MaxBytes)),
		}
		if err := w.pass(ctx, d); err != nil {
			return err
		}
	}
}

// subjects returns what the reader asks for: a subject for each partition, or one for all of them.
func (w *Worker) subjects(r *partitionReader) []string {
	if len(r.from) == w.o.Partitions {
		return []string{w.o.Stage.Subject(AllPartitions)}
	}
	var subjects []string
	for p := range r.from {
		subjects = append(subjects, w.o.Stage.Subject(p))
	}
	slices.Sort(subjects)
	return subjects
}

// pass hands a delivery to the loop once the budget has room for it.
func (w *Worker) pass(ctx context.Context, d delivery) error {
	if err := w.budget.Acquire(ctx, d.weight); err != nil {
		return err
	}
	select {
	case w.deliveries <- d:
		return nil
	case <-ctx.Done():
		w.budget.Release(d.weight)
		return ctx.Err()
	}
}

// readerFailed starts over with a new reader after a pause.
func (w *Worker) readerFailed(f fault) {
	if w.reader != f.reader {
		return
	}
	w.metrics.failures.WithLabelValues("read").Inc()
	w.log.Warn("reading failed, trying again", zap.Duration("pause", w.backoff), zap.Error(f.err))
	w.setState(f.err)
	w.stopReader()
	w.retryAt = time.Now().Add(w.backoff)
	w.backoff = min(2*w.backoff, maxBackoff)
}

// readAgain starts a reader after the last one failed and the pause is over.
func (w *Worker) readAgain(ctx context.Context) {
	if w.reader == nil && len(w.owned) > 0 && !time.Now().Before(w.retryAt) {
		w.startReader(ctx)
		w.updateState()
	}
}
