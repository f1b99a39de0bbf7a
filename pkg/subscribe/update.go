package subscribe

import (
	"errors"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// Update is one thing to know; one of its fields is set.
type Update struct {
	// Event is what Follow brings, Delivery what Consume does.
	Event    *eventpb.ScrapeWritten
	Delivery *eventpb.Delivery
	// Gap: events may be missing.
	Gap *eventpb.Gap
	// Started: the subscription is in place, at first or again.
	Started *eventpb.Started
	// Opened: the stream of the position is, at first or again.
	Opened *eventpb.Opened
	// Progress: there is no further event below a sequence.
	Progress *eventpb.Progress
	// Lost: the stream has ended, and there will be another attempt.
	Lost *Lost
}

// Lost says why a stream has ended and when the next attempt is.
type Lost struct {
	Err   error
	Retry time.Duration
}

// ErrDone ends Follow and Consume, which then return nil, when a handler returns it. What the handler was called with counts
// as handled.
var ErrDone = errors.New("done")
