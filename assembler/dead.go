package assembler

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// Reasons of dead letters and marks, beside those of scrape.Outcome.
const (
	reasonUndecodable = "undecodable" // the message can't be decoded or makes the fold panic
	reasonUnfit       = "unfit"       // a difference fits no value: the state has lost the collector's values
	reasonStrict      = "strict"      // a value is inferred and the account wants none
	reasonSchema      = "schema"      // the schema is gone
)

// headerRawSequence is on a dead letter: the sequence of its message in RAW.
const headerRawSequence = "Zs-Raw-Sequence"

// buryRefused adds the blobs that a message's fold refused to the dead letters.
func (s *step) buryRefused(ctx context.Context, m message, r result) error {
	if len(r.refused) == 0 {
		return nil
	}
	blobs := make([]*scrape.Blob, len(r.refused))
	for i, f := range r.refused {
		blobs[i] = f.blob
		s.a.metrics.dead.WithLabelValues(f.outcome.Reason).Inc()
	}
	payload, err := event.EncodeBlobs(blobs)
	if err != nil {
		return fmt.Errorf("%s: %w", m.target, err)
	}
	first := r.refused[0]
	return s.bury(ctx, m.target, &eventpb.DeadLetter{
		Reason:      first.outcome.Reason,
		Detail:      fmt.Sprintf("generation %d does not follow; %d blobs refused", first.blob.Generation, len(blobs)),
		RawSequence: m.arrival.Sequence,
		ReceivedUs:  m.arrival.Received,
		Payload:     payload,
	})
}

// buryUndecoded adds a whole message to the dead letters and asks its target, if that is known, for a full blob.
func (s *step) buryUndecoded(ctx context.Context, d bus.Delivery, m message, cause error) error {
	s.a.metrics.dead.WithLabelValues(reasonUndecodable).Inc()
	target := m.target
	if target.Account == "" || target.Name == "" {
		target = scrape.Target{Account: "unknown", Name: d.Subject}
	} else {
		s.mark(target, d.Sequence, reasonUndecodable)
	}
	return s.bury(ctx, target, &eventpb.DeadLetter{
		Reason:      reasonUndecodable,
		Detail:      cause.Error(),
		RawSequence: d.Sequence,
		ReceivedUs:  m.arrival.Received,
		Payload:     d.Data,
		Undecoded:   true,
	})
}

// bury adds a dead letter, unless a repetition of this step has published it already.
func (s *step) bury(ctx context.Context, t scrape.Target, letter *eventpb.DeadLetter) error {
	subject := event.DeadSubject(t)
	last, err := s.a.o.Bus.Last(ctx, event.Dead, subject)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("last dead letter of %s: %w", t, err)
	}
	if before, _ := strconv.ParseUint(last.Header[headerRawSequence], 10, 64); err == nil && before >= letter.RawSequence {
		return nil
	}
	data, err := event.Marshal(letter)
	if err != nil {
		return fmt.Errorf("dead letter of %s: %w", t, err)
	}
	h := event.TargetHeader(t)
	h[headerRawSequence] = strconv.FormatUint(letter.RawSequence, 10)
	s.dead = append(s.dead, bus.Message{Subject: subject, Header: h, Data: data})
	s.a.log.Warn("what was received can't be folded and goes to the dead letters",
		zap.Stringer("target", t), zap.String("reason", letter.Reason), zap.Uint64("raw_sequence", letter.RawSequence))
	return nil
}
