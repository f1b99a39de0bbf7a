package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// lag is how much earlier than its event a scrape may have been put on disk: batches that are tried again, and clocks of
// the log and the disk that differ.
const lag = 10 * time.Minute

// eventLog is what is asked of the log. A *bus.Bus is one.
type eventLog interface {
	// DurableReaders lists the named consumers of a stream.
	DurableReaders(ctx context.Context, stream string) ([]bus.DurableReader, error)
	// Find and FindMessage return the first message on a subject from a sequence on, and Last the last one, or bus.ErrNotFound.
	Find(ctx context.Context, stream, subject string, from uint64) (bus.Place, error)
	FindMessage(ctx context.Context, stream, subject string, from uint64) (bus.Message, error)
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
}

// PositionsOf returns the positions that are durable consumers of EVENTS, in a log of so many partitions. Of each target that has
// something to remove, each of them is asked for once in a pass.
func PositionsOf(log eventLog, partitions int) Positions {
	return func(ctx context.Context) (func(context.Context, scrape.Target) (Acked, error), error) {
		readers, err := log.DurableReaders(ctx, event.Events)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, t scrape.Target) (Acked, error) {
			return acked(ctx, log, readers, event.EventSubject(t, partitions))
		}, nil
	}
}

// acked says what of the target with a subject all readers that get it have acknowledged.
//
// Events of a target ascend by epoch, so of the scrapes before an event all have theirs before it, except requeued dead
// letters: they come late, and are known by the time when they were put on disk.
func acked(ctx context.Context, log eventLog, readers []bus.DurableReader, subject string) (Acked, error) {
	from, ok := unacked(readers, subject)
	if !ok {
		return ackedAll, nil
	}
	// The last event is asked for before the first that is not acknowledged: if there is none of these, it is acknowledged.
	last, err := log.Last(ctx, event.Events, subject)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, err
	}
	oldest, ok, err := findEvent(ctx, log, subject, from)
	if err != nil {
		return nil, err
	}
	if ok {
		return func(epoch int64, written time.Time) bool {
			return epoch < oldest.epoch && written.Before(oldest.stored.Add(-lag))
		}, nil
	}
	newest, ok, err := findEvent(ctx, log, subject, last.Sequence)
	if err != nil {
		return nil, err
	}
	if !ok { // the target's first event is still to come, or all are trimmed
		newest.stored = time.Now()
	}
	// A scrape that is on disk and behind the last event is one whose event is still to come.
	return func(epoch int64, written time.Time) bool {
		return epoch <= newest.epoch || written.Before(newest.stored.Add(-lag))
	}, nil
}

// unacked returns the first sequence that some reader of a subject may not have acknowledged; ok is false if nobody reads it.
func unacked(readers []bus.DurableReader, subject string) (from uint64, ok bool) {
	for _, r := range readers {
		if r.Gets(subject) && (!ok || r.Acked+1 < from) {
			from, ok = r.Acked+1, true
		}
	}
	return from, ok
}

// moment says when an event was.
type moment struct {
	epoch  int64     // of its scrape, in microseconds since the Unix epoch
	stored time.Time // by the log's clock
}

// findEvent returns the first event on a subject from a sequence on; ok is false if there is none.
func findEvent(ctx context.Context, log eventLog, subject string, from uint64) (e moment, ok bool, err error) {
	place, err := log.Find(ctx, event.Events, subject, from)
	if errors.Is(err, bus.ErrNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	m, err := log.FindMessage(ctx, event.Events, subject, place.Sequence)
	if errors.Is(err, bus.ErrNotFound) { // trimmed just now, and maybe others behind it are not
		return e, true, nil
	}
	if err != nil {
		return e, false, err
	}
	written := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(m.Data, written); err != nil {
		return e, false, fmt.Errorf("event %d: %w", m.Sequence, err)
	}
	return moment{epoch: written.GetEpochUs(), stored: place.Stored}, true, nil
}
