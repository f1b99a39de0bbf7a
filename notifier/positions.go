package notifier

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// endOf returns what a stream of a position ends with after an error. Nothing is wrong when its consumer has closed it.
func endOf(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, bus.ErrRemoved):
		return status.Errorf(codes.Aborted, "%v: opening it again makes it anew", err)
	}
	return err
}

// ListPositions implements the service's method of that name.
func (n *Notifier) ListPositions(ctx context.Context, _ *eventpb.ListPositionsRequest) (*eventpb.ListPositionsResponse, error) {
	g, err := n.grant(ctx)
	if err != nil {
		return nil, err
	}
	all, err := n.positions(ctx, g)
	if err != nil {
		return nil, err
	}
	out := new(eventpb.ListPositionsResponse)
	for _, p := range all {
		out.Positions = append(out.Positions, &eventpb.Position{
			Name: p.Name, OwnerAccount: p.Account, OwnerSource: p.Source, Account: p.FilterAccount, Target: p.Target,
			AckedSequence: p.Acked, Pending: p.Pending, Unacked: p.Unacked, Waiting: uint32(p.Waiting),
			Gap: gapOf(p.Gap), OldestUs: microseconds(p.Oldest),
		})
	}
	return out, nil
}

// microseconds counts from the Unix epoch; the zero time is 0.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// positions returns those that a grant lets see.
func (n *Notifier) positions(ctx context.Context, g account.Grant) ([]bus.PositionState, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	all, err := n.log.Positions(ctx)
	if err != nil {
		return nil, n.status(ctx, err)
	}
	var out []bus.PositionState
	for _, p := range all {
		if g == (account.Grant{}) || p.Account == g.Account && p.Source == g.Source {
			out = append(out, p)
		}
	}
	return out, nil
}

// RemovePosition implements the service's method of that name.
func (n *Notifier) RemovePosition(ctx context.Context, r *eventpb.RemovePositionRequest) (*eventpb.RemovePositionResponse, error) {
	g, err := n.grant(ctx)
	if err != nil {
		return nil, err
	}
	key := bus.PositionKey{Name: r.GetName(), Account: r.GetOwnerAccount(), Source: r.GetOwnerSource()}
	if g != (account.Grant{}) {
		key.Account, key.Source = g.Account, g.Source
	}
	if err := n.mayRemove(ctx, g, key, r.GetForce()); err != nil {
		return nil, err
	}
	if err := n.log.RemovePosition(ctx, key); err != nil {
		return nil, n.status(ctx, err)
	}
	return new(eventpb.RemovePositionResponse), nil
}

// mayRemove reports why a position may not be removed, or nil.
func (n *Notifier) mayRemove(ctx context.Context, g account.Grant, key bus.PositionKey, force bool) error {
	// A member asks for events once a second, and for a moment in between it doesn't seem to wait: so look twice.
	for again := range 2 {
		all, err := n.positions(ctx, g)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(p bus.PositionState) bool { return p.PositionKey == key })
		switch {
		case i < 0:
			return status.Errorf(codes.NotFound, "there is no position %s", key.Name)
		case force:
			return nil
		case all[i].Waiting > 0:
			return status.Errorf(codes.FailedPrecondition, "members of position %s wait for events: stop them first, or force it", key.Name)
		}
		if again == 0 && !pause(ctx, n.pace.lookAgain) {
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return nil
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
