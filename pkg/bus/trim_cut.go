package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// cut returns the first sequence that a stream must keep, apart from its checkpoints.
func (t *Trimmer) cut(ctx context.Context, s jetstream.Stream, r TrimRule, state jetstream.StreamState, now time.Time) (uint64, error) {
	keep, err := t.wanted(ctx, s, r, state, now)
	if err != nil || keep <= state.FirstSeq {
		return keep, err
	}
	if keep, err = t.undone(ctx, r, keep, r.excess(state) > 0); err != nil {
		return 0, err
	}
	return wholeMessages(ctx, s, keep)
}

// excess is how many bytes must go from a stream in this state; it is not positive if none.
func (r TrimRule) excess(state jetstream.StreamState) int64 {
	if r.Bytes == 0 {
		return 0
	}
	return int64(state.Bytes) - r.Bytes/5*4
}

// wanted returns the first sequence to keep by age and bytes.
func (t *Trimmer) wanted(ctx context.Context, s jetstream.Stream, r TrimRule, state jetstream.StreamState, now time.Time) (uint64, error) {
	keep, err := firstSince(ctx, s, state, now.Add(-r.Age))
	if err == nil {
		keep, err = t.held(ctx, s, r, state, keep, now)
	}
	if err != nil || state.Msgs == 0 || r.excess(state) <= 0 {
		return keep, err
	}
	// Messages of one stream are alike enough: in the long run the average size frees what has to be freed. They are counted from
	// the end, since in front only checkpoints may be left.
	share := float64(r.excess(state)) / float64(state.Bytes)
	over := state.LastSeq + 1 - uint64((1-share)*float64(state.Msgs))
	fresh, err := firstSince(ctx, s, state, now.Add(-freshness))
	return max(keep, min(over, fresh)), err
}

// wholeMessages moves a cut in front of the parts of the message behind it.
func wholeMessages(ctx context.Context, s jetstream.Stream, keep uint64) (uint64, error) {
	first, err := startOf(ctx, s, s.CachedInfo().Config.Subjects[0], keep) // the others are those of checkpoints and parts
	if errors.Is(err, ErrNotFound) {
		return keep, nil
	}
	return min(keep, first), err
}

// startOf returns where the first message on a subject begins that ends at a sequence or later: with its first part. It is ErrNotFound
// if there is none.
func startOf(ctx context.Context, s jetstream.Stream, subject string, from uint64) (uint64, error) {
	m, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil {
		return 0, readError(err, s.CachedInfo().Config.Name, subject+" from sequence "+strconv.FormatUint(from, 10))
	}
	parts, _ := strconv.ParseUint(m.Header.Get(headerParts), 10, 32) // 0 if it is broken
	if parts >= m.Sequence || parts > maxBatch {
		parts = 0
	}
	return m.Sequence - parts, nil
}

// firstSince returns the sequence of the first message stored at or after a time, by bisection: sequences and times ascend
// together.
func firstSince(ctx context.Context, s jetstream.Stream, state jetstream.StreamState, since time.Time) (uint64, error) {
	low, high := state.FirstSeq, state.LastSeq+1 // the answer lies in [low, high]
	for low < high {
		mid := low + (high-low)/2
		m, err := s.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(">")) // the first message from mid on
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			high = mid
		case err != nil:
			return 0, fmt.Errorf("find the first message since %s: sequence %d: %w", since.UTC().Format(time.RFC3339), mid, err)
		case m.Time.Before(since):
			low = m.Sequence + 1
		default:
			high = mid
		}
	}
	return low, nil
}

// undone returns the first sequence, at most keep, that a reader has not done. A partition that has had nothing to do since its last
// checkpoint holds that back, unless the hurry is worth a search for what the partition has to do.
func (t *Trimmer) undone(ctx context.Context, r TrimRule, keep uint64, search bool) (uint64, error) {
	if r.Reader == "" {
		return keep, nil
	}
	for p := range t.o.Partitions {
		done, _, err := t.checkpoint(ctx, r.ReaderOutput, r.Reader, p)
		if err != nil {
			return 0, err
		}
		if done+1 >= keep {
			continue
		}
		first := done + 1
		if search && r.Subject != nil {
			first, err = t.firstOf(ctx, r.Stream, r.Subject(p), first)
		}
		switch {
		case errors.Is(err, ErrNotFound): // there is nothing: the checkpoint is only old
		case err != nil:
			return 0, err
		default:
			keep = min(keep, first)
		}
	}
	return keep, nil
}

func (t *Trimmer) firstOf(ctx context.Context, stream, subject string, from uint64) (first uint64, err error) {
	err = t.o.Bus.asking(ctx, func(ctx context.Context) error {
		s, err := t.o.Bus.stream(ctx, stream)
		if err == nil {
			first, err = startOf(ctx, s, subject, from)
		}
		return err
	})
	return first, err
}

// oldestCheckpoint returns the sequence of the oldest checkpoint that is the last of its partition and lies in the stream itself.
func (t *Trimmer) oldestCheckpoint(ctx context.Context, r TrimRule) (uint64, error) {
	oldest := ^uint64(0)
	if r.Writer == "" {
		return oldest, nil
	}
	for p := range t.o.Partitions {
		_, sequence, err := t.checkpoint(ctx, r.Stream, r.Writer, p)
		if err != nil {
			return 0, err
		}
		if sequence > 0 {
			oldest = min(oldest, sequence)
		}
	}
	return oldest, nil
}

// checkpoint returns the input sequence of the last checkpoint of a partition and its own; zeros if there is none.
func (t *Trimmer) checkpoint(ctx context.Context, stream, stage string, p int) (done, sequence uint64, err error) {
	m, err := t.o.Bus.Last(ctx, stream, event.CheckpointSubject(stage, p))
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	c := new(eventpb.Checkpoint)
	if err := event.Unmarshal(m.Data, c); err != nil {
		return 0, 0, fmt.Errorf("checkpoint of stage %s, partition %d: %w", stage, p, err)
	}
	return c.InputSequence, m.Sequence, nil
}
