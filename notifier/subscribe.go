package notifier

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// readAhead bounds what one subscription's reader fetches ahead, in bytes.
const readAhead = 1 << 20

// Subscribe implements the service's one method.
func (n *Notifier) Subscribe(r *eventpb.SubscribeRequest, stream grpc.ServerStreamingServer[eventpb.SubscribeResponse]) error {
	ctx := stream.Context()
	grant, err := n.grant(ctx)
	if err != nil {
		return err
	}
	f, err := newFilter(r, grant)
	if err != nil {
		return err
	}
	p, err := n.subs.add()
	if err != nil {
		return err
	}
	defer n.subs.remove(p)
	s, reader, err := n.open(ctx, r, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &delivery{
		log: n.log, filter: f, pace: n.pace, metrics: n.metrics, logger: n.logger,
		send: stream.Send, position: p, told: s.from,
	}
	d.done(s.from - 1)
	return d.run(ctx, s, n.pump(ctx, reader))
}

// open finds where a subscription begins and opens its reader there.
func (n *Notifier) open(ctx context.Context, r *eventpb.SubscribeRequest, f filter) (start, *bus.Reader, error) {
	if err := n.log.Ready(); err != nil {
		return start{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	s, err := n.findStart(ctx, r, time.Now())
	if err != nil {
		return s, nil, err
	}
	reader, err := n.log.Read(ctx, bus.ReadOptions{
		Stream: event.Events, Subjects: []string{f.subject()}, From: max(s.from, s.first), MaxPending: readAhead,
	})
	return s, reader, err
}

// read is a message that a subscription's reader read, or the error that ended it.
type read struct {
	bus.Message
	more bool // messages that match lay behind it
	err  error
}

// pump reads in a goroutine of its own until ctx ends. A reader that waits for a lost connection heeds no context, so it is
// closed beside.
func (n *Notifier) pump(ctx context.Context, reader *bus.Reader) <-chan read {
	out := make(chan read)
	n.pumps.Go(func() {
		<-ctx.Done()
		reader.Close()
	})
	n.pumps.Go(func() {
		for {
			m, err := reader.Next(ctx)
			select {
			case out <- read{m, reader.Pending() > 0, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return out
}
