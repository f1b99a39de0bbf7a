package assembler

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// letterReasons returns all reasons of dead letters: of parts of messages, and of messages as they were.
func letterReasons() []string {
	return append(refusalReasons(), fold.ReasonMisplaced, fold.ReasonUndecodable, fold.ReasonPanic, fold.ReasonIncomplete)
}

// maxDetail bounds a letter's detail, in bytes. A panic's stack can be long.
const maxDetail = 4 << 10

// letter is a dead letter on its way to DEAD.
type letter struct {
	id      letterID
	reason  string
	message bus.Message
}

type letterID struct {
	subject  string
	sequence uint64 // in RAW
}

// buried remembers dead letters that are durable, so that a batch that is tried again and again does not fill DEAD with
// copies. It remembers the last so many; beyond that, and in other processes, copies are told by event.HeaderRawSequence.
type buried struct {
	lru *simplelru.LRU[letterID, struct{}]
}

func newBuried() *buried {
	const size = 16 << 10
	lru, _ := simplelru.NewLRU[letterID, struct{}](size, nil) // fails only for a size that is not positive
	return &buried{lru}
}

func (b *buried) has(id letterID) bool { return b.lru.Contains(id) }
func (b *buried) add(id letterID)      { b.lru.Add(id, struct{}{}) }

// buryRefused makes a dead letter of a message's refused blobs.
func (s *step) buryRefused(j *job, all []fold.Refused) error {
	blobs := make([]*scrape.Blob, len(all))
	for i, r := range all {
		blobs[i] = r.Blob
	}
	payload, err := event.EncodeBlobs(blobs)
	if err != nil {
		return fmt.Errorf("encode refused blobs of %s: %w", j.target, err)
	}
	return s.bury(j, j.target.Target, &eventpb.DeadLetter{
		Reason:  all[0].Reason,
		Detail:  refusalDetail(j.target.state, all),
		Payload: payload,
	})
}

// refusalDetail says what was refused, and what it should have followed.
func refusalDetail(st *scrape.State, all []fold.Refused) string {
	first := all[0].Blob
	detail := fmt.Sprintf("assembler: %d blobs refused, the first of generation %d with %d samples", len(all), first.Generation, first.Samples)
	if st == nil {
		return detail + "; nothing is known of the target"
	}
	return detail + fmt.Sprintf("; the target's last scrape has generation %d and %d samples", st.Generation, len(st.Values))
}

// buryWhole makes a dead letter of a message as it is, and asks its target for a full blob.
func (s *step) buryWhole(j *job, p *fold.Poison) error {
	s.tally.poison++
	var name scrape.Target
	switch {
	case j.target != nil && j.fault == nil:
		name = j.target.Target
		j.target.request(j.delivery, p.Reason)
	case j.target != nil:
		name = j.target.Target
	default:
		name = scrape.Target{Account: "unknown", Name: j.delivery.Subject}
	}
	return s.bury(j, name, &eventpb.DeadLetter{
		Reason:    p.Reason,
		Detail:    "assembler: " + p.Err.Error(),
		Payload:   j.delivery.Data,
		Undecoded: true,
	})
}

// bury adds a dead letter to those of the batch.
func (s *step) bury(j *job, name scrape.Target, l *eventpb.DeadLetter) error {
	d := j.delivery
	l.RawSequence = d.Sequence
	l.ReceivedUs = received(d)
	l.Detail = strings.ToValidUTF8(l.Detail[:min(len(l.Detail), maxDetail)], "")
	s.a.deadLog.Do(func() {
		s.a.logger.Warn("what was received can't be folded and goes to the dead letters", zap.Stringer("target", name),
			zap.String("reason", l.Reason), zap.Uint64("raw_sequence", d.Sequence), zap.String("detail", l.Detail))
	})
	id := letterID{event.DeadSubject(name), d.Sequence}
	if s.a.buried.has(id) {
		return nil
	}
	data, err := event.Marshal(l)
	if err != nil {
		return fmt.Errorf("dead letter of %s: %w", name, err)
	}
	header := event.TargetHeader(name)
	header[event.HeaderRawSequence] = strconv.FormatUint(d.Sequence, 10)
	s.letters = append(s.letters, letter{id, l.Reason, bus.Message{Subject: id.subject, Header: header, Data: data}})
	return nil
}

// publishLetters appends the batch's dead letters to DEAD.
func (s *step) publishLetters(ctx context.Context) error {
	if len(s.letters) == 0 {
		return nil
	}
	messages := make([]bus.Message, len(s.letters))
	for i, l := range s.letters {
		messages[i] = l.message
	}
	failpoint.Hit("assembler.letters.before")
	if err := s.a.log.AppendAll(ctx, event.Dead, messages); err != nil {
		return fmt.Errorf("publish %d dead letters: %w", len(messages), err)
	}
	failpoint.Hit("assembler.letters.after")
	for _, l := range s.letters {
		s.a.buried.add(l.id)
		s.tally.letters[l.reason]++
	}
	return nil
}
