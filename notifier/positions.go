package notifier

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// endOf returns what a stream of a position ends with: nothing is wrong when its consumer has closed it.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
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
	all, err := n.positions(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.PositionKey != key {
			continue
		}
		if p.Waiting > 0 && !r.GetForce() {
			return nil, status.Errorf(codes.FailedPrecondition, "%d members of position %s wait for events: stop them first, or force it", p.Waiting, key.Name)
		}
		if err := n.log.RemovePosition(ctx, key); err != nil {
			return nil, n.status(ctx, err)
		}
		return new(eventpb.RemovePositionResponse), nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no position %s", key.Name)
}
