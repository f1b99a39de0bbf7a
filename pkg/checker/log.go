package checker

import (
	"context"
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// LoggedEvents reads all events that the log keeps now. Trimmed tells that there may have been earlier ones.
func LoggedEvents(ctx context.Context, b *bus.Bus) (all []Notified, trimmed bool, err error) {
	first, _, err := b.Bounds(ctx, event.Events)
	if err != nil {
		return nil, false, err
	}
	all = []Notified{}
	err = b.Scan(ctx, bus.ReadOptions{Stream: event.Events, Subjects: []string{event.EventFilter("")}}, func(m bus.Message) error {
		e := new(eventpb.ScrapeWritten)
		if err := event.Unmarshal(m.Data, e); err != nil {
			return fmt.Errorf("event %d: %w", m.Sequence, err)
		}
		e.Sequence = m.Sequence
		all = append(all, NotifiedBy(e))
		return nil
	})
	return all, first > 1, err
}

// DeadLetters reads the dead letters that the log keeps now.
func DeadLetters(ctx context.Context, b *bus.Bus) ([]Dead, error) {
	all := []Dead{}
	err := b.Scan(ctx, bus.ReadOptions{Stream: event.Dead, Subjects: []string{"zs.dead.>"}}, func(m bus.Message) error {
		letters, err := dead(m)
		if err != nil {
			return fmt.Errorf("dead letter %d: %w", m.Sequence, err)
		}
		all = append(all, letters...)
		return nil
	})
	return all, err
}
