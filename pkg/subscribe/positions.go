package subscribe

import (
	"context"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// Positions returns the named positions that the token lets see, all of them where the notifier asks for none. It asks once;
// the error wraps ErrUnreachable if nothing answers.
func (c *Client) Positions(ctx context.Context) (all []*eventpb.Position, err error) {
	err = c.connection(ctx, func(ctx context.Context, n eventpb.NotifierClient) error {
		r, err := n.ListPositions(ctx, new(eventpb.ListPositionsRequest))
		all = r.GetPositions()
		return err
	})
	return all, err
}

// RemovePosition forgets a named position. The error has the status NotFound if there is none, and FailedPrecondition if
// members wait for its events and it is not forced. It asks once, as Positions does.
func (c *Client) RemovePosition(ctx context.Context, r *eventpb.RemovePositionRequest) error {
	return c.connection(ctx, func(ctx context.Context, n eventpb.NotifierClient) error {
		_, err := n.RemovePosition(ctx, r)
		return err
	})
}
