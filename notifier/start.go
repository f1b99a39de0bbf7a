package notifier

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// lookupTimeout bounds one look at the log.
const lookupTimeout = 5 * time.Second

// maxAhead is how far in the future a time may lie that is taken for now: clocks differ.
const maxAhead = time.Minute

// start is where a subscription begins.
type start struct {
	// from is the first sequence that was asked for.
	from uint64
	// first is the first sequence that is kept, and next the one behind the last.
	first, next uint64
}

// findStart finds the start that a request asks for.
func (n *Notifier) findStart(ctx context.Context, r *eventpb.SubscribeRequest, now time.Time) (start, error) {
	first, last, err := n.log.Bounds(ctx, event.Events)
	if err != nil {
		return start{}, err
	}
	s := start{first: max(first, 1), next: last + 1}
	switch from := r.GetFrom().(type) {
	case nil:
		s.from = s.next
	case *eventpb.SubscribeRequest_FromSequence:
		s.from, err = s.sequence(from.FromSequence)
	case *eventpb.SubscribeRequest_FromTimeUs:
		s.from, err = n.findTime(ctx, s, from.FromTimeUs, now)
	}
	return s, err
}

func (s start) sequence(asked uint64) (uint64, error) {
	if asked == 0 {
		return s.first, nil
	}
	if asked > s.next {
		return 0, status.Errorf(codes.OutOfRange,
			"from_sequence is %d, but the next event will have %d: is this another log, or a new one? 0 asks for all that is kept", asked, s.next)
	}
	return asked, nil
}

// findTime returns the lowest sequence behind which everything was stored at time us or later. If that may include what
// is no longer kept, it is 1.
func (n *Notifier) findTime(ctx context.Context, s start, us int64, now time.Time) (uint64, error) {
	t := time.UnixMicro(us)
	if us < 0 {
		return 0, status.Errorf(codes.InvalidArgument, "from_time_us is %d, which is negative", us)
	}
	if t.After(now.Add(maxAhead)) {
		return 0, status.Errorf(codes.InvalidArgument,
			"from_time_us is %d, which lies in the future: it counts microseconds since the Unix epoch", us)
	}
	low, high := s.first, s.next
	for low < high {
		middle := low + (high-low)/2
		early, err := n.storedBefore(ctx, middle, t)
		if err != nil {
			return 0, err
		}
		if early {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == s.first {
		return 1, nil
	}
	return low, nil
}

// storedBefore reports whether the first message from sequence on was stored before t.
func (n *Notifier) storedBefore(ctx context.Context, sequence uint64, t time.Time) (bool, error) {
	place, err := n.log.Find(ctx, event.Events, ">", sequence)
	if errors.Is(err, bus.ErrNotFound) {
		return false, nil // trimmed meanwhile
	}
	return err == nil && place.Stored.Before(t), err
}
