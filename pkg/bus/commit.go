package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
)

// commit publishes the outputs of a batch with the checkpoints of its partitions: in one atomic batch if they fit, else in
// several that are each cut behind a delivery, so that each is a consistent step.
func (w *Worker) commit(ctx context.Context, batch []delivery, outputs []Output) error {
	start := time.Now()
	for from := 0; from < len(batch); {
		chunk, rest := w.cut(batch[from:], outputs, from)
		if err := w.commitChunk(ctx, batch[from:from+chunk.deliveries], chunk.entries); err != nil {
			return err
		}
		from += chunk.deliveries
		outputs = rest
	}
	w.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	return nil
}

// chunk is what one atomic batch takes.
type chunk struct {
	deliveries int
	entries    []entry
}

// cut takes from the deliveries, the first of which has index base in the batch, as many as fit into one atomic batch with
// their outputs and checkpoints, but at least one. It returns the outputs of the others.
func (w *Worker) cut(batch []delivery, outputs []Output, base int) (c chunk, rest []Output) {
	partitions := make(map[int]bool)
	bytes := 0
	for i, d := range batch {
		n := 0
		for n < len(outputs) && outputs[n].Input <= base+i {
			n++
		}
		var own []entry
		for _, o := range outputs[:n] {
			own = append(own, entries(w.o.Stage.Output, o.Message)...)
			bytes += len(o.Data)
		}
		partitions[d.Partition] = true
		if i > 0 && (len(c.entries)+len(own)+len(partitions) > maxBatch || bytes > maxBatchBytes) {
			break
		}
		c.entries = append(c.entries, own...)
		c.deliveries++
		outputs = outputs[n:]
	}
	return c, outputs
}

func (w *Worker) commitChunk(ctx context.Context, batch []delivery, outputs []entry) error {
	var touched []*session
	for _, d := range batch {
		if !slices.Contains(touched, d.from) {
			touched = append(touched, d.from)
		}
	}
	before := make([]progress, len(touched))
	for i, s := range touched {
		before[i] = s.done
	}
	for _, d := range batch {
		d.from.done = progress{d.Sequence, d.Stored}
	}
	failpoint.HitIn("worker.commit.before", w.o.Stage.Name)
	err := w.publishCheckpoints(ctx, touched, outputs, false)
	if err != nil {
		for i, s := range touched {
			s.done = before[i]
		}
	}
	failpoint.HitIn("worker.commit.after", w.o.Stage.Name)
	return err
}

// publishCheckpoints publishes outputs and, on the condition that nobody else did, the checkpoints of sessions: all or
// nothing.
func (w *Worker) publishCheckpoints(ctx context.Context, sessions []*session, outputs []entry, released bool) error {
	if len(sessions) == 0 {
		return nil
	}
	all := slices.Clone(outputs)
	for _, s := range sessions {
		ckpt := &eventpb.Checkpoint{InputSequence: s.done.sequence, Worker: w.o.ID, Released: released}
		if !s.done.stored.IsZero() {
			ckpt.InputStoredNs = s.done.stored.UnixNano()
		}
		data, err := event.Marshal(ckpt)
		if err != nil {
			return err
		}
		own := entries(w.o.Stage.Output, Message{
			Subject: event.CheckpointSubject(w.o.Stage.Name, s.partition),
			Data:    data,
		})
		own[0].expectLast(s.token)
		all = append(all, own...)
	}
	last, err := w.o.Bus.publish(ctx, w.o.Stage.Output, all)
	if err != nil {
		return fmt.Errorf("checkpoints of stage %s: %w", w.o.Stage.Name, err)
	}
	for i, s := range sessions {
		s.token = last - uint64(len(sessions)-1-i)
		s.written = time.Now()
		if w.owned[s.partition] == s {
			w.lag.committed(s.partition, s.done.sequence)
		}
	}
	return nil
}
