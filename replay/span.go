package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/bus"
)

// span is the part of a stream that a replay reads. It is fixed when the replay begins.
type span struct {
	// First and Last are sequences; there is nothing to read if Last is less than First.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Cut tells that the stream had messages before First, Trimmed that it has none any more although they were asked for.
	Cut     bool `json:"cut"`
	Trimmed bool `json:"trimmed"`
	// LastStored is when the message Last was stored. It tells logs apart.
	LastStored time.Time `json:"last_stored"`
}

// findSpan returns the span of a stream that holds everything between two times. Epochs are the times of ingest's clocks. Skew is
// how far these and the log's may be apart, and how long a request may take on its way into the log.
func findSpan(ctx context.Context, b *bus.Bus, source Source, since, until time.Time, skew time.Duration) (s span, err error) {
	stream := source.stream()
	first, last, err := b.Bounds(ctx, stream)
	if err != nil {
		return s, err
	}
	s.First, s.Last = first, last
	if !since.IsZero() {
		if s.First, err = sequenceAt(ctx, b, stream, since.Add(-skew), last); err != nil {
			return s, err
		}
		s.First = max(s.First, first)
	}
	// A scrape may be in SCRAPES long after it was received, if the assembler was down; so the end is one of RAW only.
	if !until.IsZero() && source == FromRaw {
		end, err := sequenceAt(ctx, b, stream, until.Add(skew), last)
		if err != nil {
			return s, err
		}
		s.Last = min(s.Last, end-1)
	}
	s.Cut, s.Trimmed = s.First > 1, s.First > 1 && s.First == first
	s.LastStored, err = stored(ctx, b, stream, s.Last)
	return s, err
}

// sequenceAt returns the sequence of the first message that was stored at a time or later, last+1 if there is none.
func sequenceAt(ctx context.Context, b *bus.Bus, stream string, at time.Time, last uint64) (uint64, error) {
	found := last + 1
	stop := errors.New("found")
	err := b.Scan(ctx, bus.ReadOptions{Stream: stream, Since: at, MaxPending: 1}, func(m bus.Message) error {
		found = min(found, m.Sequence)
		return stop
	})
	if err != nil && !errors.Is(err, stop) {
		return 0, err
	}
	return found, nil
}

// stored returns when a message was stored, zero if it is gone.
func stored(ctx context.Context, b *bus.Bus, stream string, sequence uint64) (time.Time, error) {
	if sequence == 0 {
		return time.Time{}, nil
	}
	place, err := b.Find(ctx, stream, ">", sequence)
	if errors.Is(err, bus.ErrNotFound) || err == nil && place.Sequence != sequence {
		return time.Time{}, nil
	}
	return place.Stored.UTC(), err
}

// check returns an error if the log is another than the one that the span was found in.
func (s *span) check(ctx context.Context, b *bus.Bus, stream string) error {
	now, err := stored(ctx, b, stream, s.Last)
	if err != nil {
		return err
	}
	_, last, err := b.Bounds(ctx, stream)
	if err != nil {
		return err
	}
	if last < s.Last || !now.IsZero() && !s.LastStored.IsZero() && !now.Equal(s.LastStored) {
		return fmt.Errorf("%s is not the log that this replay began with: message %d is another one", stream, s.Last)
	}
	return nil
}
