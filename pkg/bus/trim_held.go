package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// held returns the first sequence to keep, at most keep, given that durable readers have until HeldAge to acknowledge.
func (t *Trimmer) held(ctx context.Context, s jetstream.Stream, r TrimRule, state jetstream.StreamState, keep uint64, now time.Time) (uint64, error) {
	if r.HeldAge <= r.Age || keep <= state.FirstSeq {
		return keep, nil
	}
	first := keep
	err := t.unacked(ctx, s, r, keep, func(_ DurableReader, sequence uint64) error {
		first = min(first, sequence)
		return nil
	})
	if err != nil || first == keep {
		return keep, err
	}
	oldest, err := firstSince(ctx, s, state, now.Add(-r.HeldAge))
	return max(first, min(oldest, keep)), err
}

// tellReaders notes for named positions that what lies in front of keep is removed before they have acknowledged it. It is done
// before: what is noted in vain is told as missing, and comes.
func (t *Trimmer) tellReaders(ctx context.Context, s jetstream.Stream, r TrimRule, keep uint64) error {
	if r.HeldAge == 0 {
		return nil
	}
	return t.unacked(ctx, s, r, keep, func(reader DurableReader, first uint64) error {
		if reader.Position == "" {
			return nil // a consumer that somebody else has made
		}
		t.missed.WithLabelValues(r.Stream).Inc()
		t.log.Warn("events are removed that a named position has not acknowledged; it will be told",
			zap.String("position", reader.Position), zap.Uint64("first", first), zap.Uint64("last", keep-1))
		return t.o.Bus.changeGap(ctx, reader.Name, func(g Gap) Gap { return g.with(Gap{first, keep - 1}) })
	})
}

// unacked calls visit for each durable reader that has something to acknowledge in front of keep, with the first of it.
func (t *Trimmer) unacked(ctx context.Context, s jetstream.Stream, r TrimRule, keep uint64, visit func(DurableReader, uint64) error) error {
	readers, err := t.o.Bus.DurableReaders(ctx, r.Stream)
	if err != nil {
		return err
	}
	for _, reader := range readers {
		if !reader.Behind || reader.Acked+1 >= keep {
			continue
		}
		first, err := firstFor(ctx, s, reader)
		if err != nil {
			return err
		}
		if first >= keep {
			continue
		}
		if err := visit(reader, first); err != nil {
			return err
		}
	}
	return nil
}

// firstFor returns the sequence of the first message that a reader is to get and may not have acknowledged. If there is none, it is
// the highest that can be.
func firstFor(ctx context.Context, s jetstream.Stream, reader DurableReader) (uint64, error) {
	first := ^uint64(0)
	subjects := reader.Subjects
	if len(subjects) == 0 {
		subjects = []string{">"}
	}
	for _, subject := range subjects {
		m, err := s.GetMsg(ctx, reader.Acked+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, readError(err, s.CachedInfo().Config.Name, subject)
		}
		first = min(first, m.Sequence)
	}
	return first, nil
}
