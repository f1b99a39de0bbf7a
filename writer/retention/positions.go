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

// eventLog is what is asked of the log. A *bus.Bus is one.
type eventLog interface {
	// DurableReaders lists the named consumers of a stream.
	DurableReaders(ctx context.Context, stream string) ([]bus.DurableReader, error)
	// Find and FindMessage return the first message on a subject from a sequence on, or bus.ErrNotFound.
	Find(ctx context.Context, stream, subject string, from uint64) (bus.Place, error)
	FindMessage(ctx context.Context, stream, subject string, from uint64) (bus.Message, error)
}

// PositionsOf returns the positions that are durable consumers of EVENTS, in a log of so many partitions. Of each target that has
// something to remove, each of them is asked for once in a pass.
func PositionsOf(log eventLog, partitions int) Positions {
	return func(ctx context.Context) (func(context.Context, scrape.Target) (Event, bool, error), error) {
		readers, err := log.DurableReaders(ctx, event.Events)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, t scrape.Target) (Event, bool, error) {
			return oldest(ctx, log, readers, event.EventSubject(t, partitions))
		}, nil
	}
}

// oldest returns the first event on a subject that some reader is to get and may not have acknowledged.
func oldest(ctx context.Context, log eventLog, readers []bus.DurableReader, subject string) (e Event, ok bool, err error) {
	var from uint64
	for _, r := range readers {
		if r.Gets(subject) && (!ok || r.Acked+1 < from) {
			from, ok = r.Acked+1, true
		}
	}
	if !ok {
		return e, false, nil
	}
	place, err := log.Find(ctx, event.Events, subject, from)
	if errors.Is(err, bus.ErrNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	m, err := log.FindMessage(ctx, event.Events, subject, place.Sequence)
	if errors.Is(err, bus.ErrNotFound) { // trimmed just now, and maybe others behind it are not
		return Event{Epoch: 0, Stored: time.Time{}}, true, nil
	}
	if err != nil {
		return e, false, err
	}
	written := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(m.Data, written); err != nil {
		return e, false, fmt.Errorf("event %d: %w", m.Sequence, err)
	}
	return Event{Epoch: written.GetEpochUs(), Stored: place.Stored}, true, nil
}
