package bus

import (
	"context"
	"errors"
	"fmt"
)

// Scan calls each for the messages that are there now and that o selects, in order. An error of each ends it and is returned.
func (b *Bus) Scan(ctx context.Context, o ReadOptions, each func(Message) error) error {
	r, err := b.Read(ctx, o)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Pending() > 0 {
		m, err := b.nextSoon(ctx, r)
		if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

// nextSoon does not wait for ever: what was still to be read may have been removed in the meantime. It waits for longer than a reader
// takes to notice that a cluster has lost its request, and to ask again.
func (b *Bus) nextSoon(ctx context.Context, r *Reader) (Message, error) {
	within := 2*heartbeat + b.timeout
	soon, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := r.Next(soon)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return m, fmt.Errorf("read %s: nothing came within %s, though %d messages were left; try again",
			r.stream.CachedInfo().Config.Name, within, r.Pending())
	}
	return m, err
}
