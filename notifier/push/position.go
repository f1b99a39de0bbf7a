package push

import (
	"context"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// PositionName is the name of the position in EVENTS. A consumer can't have it.
const PositionName = "@push"

// OpenPosition returns the position. If there is none it makes one, which begins with the next event.
func OpenPosition(ctx context.Context, log Log) (*bus.Position, error) {
	_, last, err := log.Bounds(ctx, event.Events)
	if err != nil {
		return nil, err
	}
	return log.OpenPosition(ctx, bus.PositionSpec{PositionKey: bus.PositionKey{Name: PositionName}, From: last + 1, Unbounded: true})
}

// open opens the position for a session.
func (p *Pusher) open(ctx context.Context) (*bus.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	position, err := OpenPosition(ctx, p.o.Log)
	if err == nil && position.Created {
		p.o.Logger.Info("the downstream service is told of scrapes from now on: nothing was kept for it before")
	}
	return position, err
}

// missed counts what was removed before it could be pushed, once among all notifiers.
func (p *Pusher) missed(ctx context.Context, position *bus.Position) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	g, err := position.Gap(ctx)
	if err != nil || g == (bus.Gap{}) {
		return err
	}
	g, err = position.AckGap(ctx, g.Last)
	if err != nil || g == (bus.Gap{}) {
		return err // another notifier counts it
	}
	p.metrics.missed.Add(float64(g.Len()))
	p.o.Logger.Error("events were removed from the log before the downstream service had taken them: it was away for too long",
		zap.Uint64("first sequence", g.First), zap.Uint64("last sequence", g.Last))
	return nil
}
