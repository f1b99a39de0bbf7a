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

// Positions lists and removes the named positions of a log. An error that has a gRPC status is the caller's own.
type Positions struct {
	log       positionLog
	lookAgain time.Duration // as pace has it
}

type positionLog interface {
	Positions(ctx context.Context) ([]bus.PositionState, error)
	RemovePosition(ctx context.Context, k bus.PositionKey) error
}

// PositionsOf returns the positions of a log to one who needs no notifier, and no token.
func PositionsOf(log positionLog) *Positions {
	return &Positions{log, defaultPace().lookAgain}
}

// Positions returns all of them.
func (p *Positions) Positions(ctx context.Context) ([]*eventpb.Position, error) {
	return p.list(ctx, account.Grant{})
}

// RemovePosition forgets one. The error has the status NotFound if there is none, and FailedPrecondition if members wait for its
// events and it is not forced.
func (p *Positions) RemovePosition(ctx context.Context, r *eventpb.RemovePositionRequest) error {
	return p.remove(ctx, account.Grant{}, r)
}

// list returns those that a grant lets see.
func (p *Positions) list(ctx context.Context, g account.Grant) (out []*eventpb.Position, err error) {
	all, err := p.states(ctx)
	for _, s := range all {
		if g == (account.Grant{}) || s.Account == g.Account && s.Source == g.Source {
			out = append(out, messageOf(s))
		}
	}
	return out, err
}

func (p *Positions) states(ctx context.Context) ([]bus.PositionState, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return p.log.Positions(ctx)
}

func (p *Positions) remove(ctx context.Context, g account.Grant, r *eventpb.RemovePositionRequest) error {
	key := bus.PositionKey{Name: r.GetName(), Account: r.GetOwnerAccount(), Source: r.GetOwnerSource()}
	if g != (account.Grant{}) {
		key.Account, key.Source = g.Account, g.Source
	}
	if err := p.mayRemove(ctx, key, r.GetForce()); err != nil {
		return err
	}
	return p.log.RemovePosition(ctx, key)
}

// mayRemove reports why a position may not be removed, or nil.
func (p *Positions) mayRemove(ctx context.Context, key bus.PositionKey, force bool) error {
	// A member asks for events once a second, and for a moment in between it doesn't seem to wait: so look twice.
	for again := range 2 {
		all, err := p.states(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(s bus.PositionState) bool { return s.PositionKey == key })
		switch {
		case i < 0:
			return status.Errorf(codes.NotFound, "there is no position %s", key.Name)
		case force:
			return nil
		case all[i].Waiting > 0:
			return status.Errorf(codes.FailedPrecondition, "members of position %s wait for events: stop them first, or force it", key.Name)
		}
		if again == 0 && !pause(ctx, p.lookAgain) {
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return nil
}

// keeper returns the positions of the notifier's log.
func (n *Notifier) keeper() *Positions { return &Positions{n.log, n.pace.lookAgain} }

// ListPositions implements the service's method of that name.
func (n *Notifier) ListPositions(ctx context.Context, _ *eventpb.ListPositionsRequest) (*eventpb.ListPositionsResponse, error) {
	g, err := n.grant(ctx)
	if err != nil {
		return nil, err
	}
	all, err := n.keeper().list(ctx, g)
	if err != nil {
		return nil, n.status(ctx, err)
	}
	return &eventpb.ListPositionsResponse{Positions: all}, nil
}

// RemovePosition implements the service's method of that name.
func (n *Notifier) RemovePosition(ctx context.Context, r *eventpb.RemovePositionRequest) (*eventpb.RemovePositionResponse, error) {
	g, err := n.grant(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.keeper().remove(ctx, g, r); err != nil {
		return nil, n.status(ctx, err)
	}
	return new(eventpb.RemovePositionResponse), nil
}

func messageOf(s bus.PositionState) *eventpb.Position {
	return &eventpb.Position{
		Name: s.Name, OwnerAccount: s.Account, OwnerSource: s.Source, Account: s.FilterAccount, Target: s.Target,
		AckedSequence: s.Acked, Pending: s.Pending, Unacked: s.Unacked, Waiting: uint32(s.Waiting),
		Gap: gapOf(s.Gap), OldestUs: microseconds(s.Oldest),
	}
}

// microseconds counts from the Unix epoch; the zero time is 0.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
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
