package subscribe

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// attempts has a stream outlast its connections: when one ends, it connects again.
type attempts struct {
	client *Client
	handle func(Update) error

	// up is set while the current stream is in place, everUp once any was.
	up, everUp bool
	// ended is set when the handler has ended it all, with err.
	ended bool
	err   error
}

// run makes one stream after another until ctx ends, the handler ends it, or there is an error that no repetition cures.
// Before the first stream is in place, any error ends it.
func (a *attempts) run(ctx context.Context, stream func(context.Context, eventpb.NotifierClient) error) error {
	o := a.client.o
	backoff := o.MinBackoff
	for {
		a.up = false
		err := a.client.connection(ctx, stream)
		switch {
		case a.ended:
			return a.err
		case ctx.Err() != nil:
			return ctx.Err()
		case !a.everUp || !curable(err):
			return err
		}
		if a.up {
			backoff = o.MinBackoff
		}
		wait := jitter(backoff)
		backoff = min(2*backoff, o.MaxBackoff)
		if a.tell(Update{Lost: &Lost{Err: err, Retry: wait}}); a.ended {
			return a.err
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// isUp notes that the stream is in place.
func (a *attempts) isUp() { a.up, a.everUp = true, true }

// tell hands an update to the handler and reports whether it was handled.
func (a *attempts) tell(u Update) bool {
	err := a.handle(u)
	if err == nil {
		return true
	}
	a.ended = true
	if errors.Is(err, ErrDone) {
		return true
	}
	a.err = err
	return false
}

// jitter varies a wait by up to a fifth, so that clients that were cut off together don't come back together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d))
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
