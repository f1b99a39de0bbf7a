package notifier

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// delivery sends one subscription its events.
type delivery struct {
	log     Log
	filter  filter
	pace    pace
	metrics *metrics
	logger  *zap.Logger
	send    func(*eventpb.SubscribeResponse) error

	position *position
	// seen is the last sequence that was read, or from where reading began.
	seen uint64
	// checked is the sequence up to which it is known that nothing was removed unread, or was reported.
	checked   uint64
	checkedAt time.Time
	// told is the sequence from which the subscriber knows that it may resume.
	told uint64
}

// run sends what is read until the subscription ends.
func (d *delivery) run(ctx context.Context, s start, reads <-chan read) error {
	if err := d.send(startedMessage(s.next)); err != nil {
		return err
	}
	if err := d.removed(s.first, s.first); err != nil {
		return err
	}
	idle := time.NewTicker(d.pace.idle)
	defer idle.Stop()
	for {
		var err error
		select {
		case r := <-reads:
			err = d.handle(ctx, r)
		case <-idle.C:
			err = d.rest(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// done notes that nothing up to sequence is left to send.
func (d *delivery) done(sequence uint64) {
	d.seen = max(d.seen, sequence)
	d.checked = max(d.checked, sequence)
	d.position.done.Store(d.seen)
}

// handle sends what was read, if it matches.
func (d *delivery) handle(ctx context.Context, r read) error {
	if r.err != nil {
		return r.err
	}
	d.position.behind.Store(true)
	if time.Since(d.checkedAt) >= d.pace.verify {
		if err := d.verify(ctx, r.Sequence); err != nil {
			return err
		}
	}
	if err := d.deliver(r.Message); err != nil {
		return err
	}
	d.seen = max(d.seen, r.Sequence)
	d.position.done.Store(d.seen)
	d.position.behind.Store(r.more)
	return nil
}

// deliver sends the event in a message, if it matches.
func (d *delivery) deliver(m bus.Message) error {
	e := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(m.Data, e); err != nil {
		d.metrics.undecodable.Inc()
		d.logger.Error("an event can't be decoded", zap.Uint64("sequence", m.Sequence), zap.String("subject", m.Subject), zap.Error(err))
		return d.gap(m.Sequence, m.Sequence)
	}
	if !d.filter.match(e) {
		return nil
	}
	e.Sequence = m.Sequence
	out := eventMessage(e)
	if err := d.send(out); err != nil {
		return err
	}
	d.told = max(d.told, m.Sequence+1)
	d.metrics.events.Inc()
	d.metrics.bytes.Add(float64(proto.Size(out)))
	return nil
}

// verify asks whether messages were removed before they could be read, now that the one with sequence next was.
func (d *delivery) verify(ctx context.Context, next uint64) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	first, _, err := d.log.Bounds(ctx, event.Events)
	if err != nil {
		return err
	}
	d.checkedAt = time.Now()
	if err := d.removed(first, next); err != nil {
		return err
	}
	d.checked = max(d.checked, next-1)
	return nil
}

// removed reports a gap if the stream, which begins with first, may have lost something unread in front of next.
func (d *delivery) removed(first, next uint64) error {
	from, to := d.checked+1, min(first, next)
	if from >= to {
		return nil
	}
	d.done(to - 1)
	return d.gap(from, to-1)
}

func (d *delivery) gap(first, last uint64) error {
	d.metrics.gaps.Inc()
	d.told = max(d.told, last+1)
	return d.send(gapMessage(first, last))
}

// rest is done from time to time: it finds out how far nothing matches, whether something was removed there unread, and
// tells the subscriber from where it may resume.
func (d *delivery) rest(ctx context.Context) error {
	if err := d.log.Ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	first, last, err := d.log.Bounds(ctx, event.Events)
	if err != nil {
		return err
	}
	d.checkedAt = time.Now()
	if err := d.removed(first, first); err != nil {
		return err
	}
	d.checked = max(d.checked, d.seen)
	next, err := d.nextMatch(ctx, last+1)
	if err != nil {
		return err
	}
	d.done(next - 1)
	return d.progress(next)
}

// nextMatch returns the sequence of the next message to be read, or end if that would be behind it.
func (d *delivery) nextMatch(ctx context.Context, end uint64) (uint64, error) {
	place, err := d.log.Find(ctx, event.Events, d.filter.subject(), d.seen+1)
	if errors.Is(err, bus.ErrNotFound) {
		return end, nil
	}
	return min(place.Sequence, end), err
}

// progress tells the subscriber that it may resume from next, if it doesn't know.
func (d *delivery) progress(next uint64) error {
	if next <= d.told {
		return nil
	}
	d.told = next
	return d.send(progressMessage(next))
}

func startedMessage(next uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Started{Started: &eventpb.Started{NextSequence: next}}}
}

func eventMessage(e *eventpb.ScrapeWritten) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_ScrapeWritten{ScrapeWritten: e}}
}

func gapMessage(first, last uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Gap{Gap: &eventpb.Gap{FirstSequence: first, LastSequence: last}}}
}

func progressMessage(next uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Progress{Progress: &eventpb.Progress{NextSequence: next}}}
}
