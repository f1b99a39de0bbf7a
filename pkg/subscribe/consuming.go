package subscribe

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// farewell is how long the notifier may take to end a stream that its consumer has closed, and so to have read what was
// acknowledged last.
const farewell = 5 * time.Second

// Consume opens a named position and calls handle with each update. It acknowledges a delivery or a gap once handle has
// returned nil, or ErrDone. What is acknowledged doesn't come again, unless the connection is lost just then; all else does,
// to this or another member of the position.
//
// It ends as Follow does, besides when the position selects other events than are asked for. At the end it waits until the
// notifier has read the acknowledgements, a few seconds at most; events that were delivered and not handled go to another member.
func (c *Client) Consume(ctx context.Context, open *eventpb.OpenPosition, handle func(Update) error) error {
	o := &consuming{attempts: attempts{client: c, handle: handle}, open: open}
	return o.run(ctx, o.stream)
}

// consuming is the state of one Consume.
type consuming struct {
	attempts
	open *eventpb.OpenPosition
}

type consumeStream = grpc.BidiStreamingClient[eventpb.ConsumeRequest, eventpb.ConsumeResponse]

// stream takes and acknowledges what one stream of the position brings. Once it is open it outlives ctx, by the farewell.
func (c *consuming) stream(ctx context.Context, n eventpb.NotifierClient) error {
	outer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	interrupted := context.AfterFunc(ctx, cancel)
	s, err := n.Consume(outer)
	if err != nil {
		return err
	}
	// If it can't be sent, that is because the stream has ended, and Recv says why.
	_ = s.Send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Open{Open: c.open}})
	first, err := s.Recv()
	if err != nil {
		return endOf(err)
	}
	interrupted()
	c.isUp()
	if c.tell(Update{Opened: first.GetOpened()}); c.ended {
		return nil
	}
	r := newReceiver(s)
	c.take(ctx, s, r.out)
	_ = s.CloseSend()
	bound := time.AfterFunc(farewell, cancel)
	defer bound.Stop()
	return endOf(r.end())
}

// take handles and acknowledges messages until the stream ends, ctx does, or the handler ends it.
func (c *consuming) take(ctx context.Context, s consumeStream, in <-chan *eventpb.ConsumeResponse) {
	for !c.ended && ctx.Err() == nil {
		select {
		case m, ok := <-in:
			if !ok || !c.handleOne(s, m) {
				return
			}
		case <-ctx.Done():
		}
	}
}

// handleOne reports whether the stream can go on.
func (c *consuming) handleOne(s consumeStream, m *eventpb.ConsumeResponse) bool {
	switch m := m.GetMessage().(type) {
	case *eventpb.ConsumeResponse_Delivery:
		return c.tell(Update{Delivery: m.Delivery}) && acknowledge(s, m.Delivery.GetEvent().GetSequence())
	case *eventpb.ConsumeResponse_Gap:
		return c.tell(Update{Gap: m.Gap}) && acknowledge(s, m.Gap.GetLastSequence())
	}
	return true // what a newer notifier may say besides
}

// acknowledge reports false if the stream has ended.
func acknowledge(s consumeStream, sequence uint64) bool {
	ack := &eventpb.AckEvents{Sequences: []uint64{sequence}}
	return s.Send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Ack{Ack: ack}}) == nil
}

// receiver reads a stream to its end, so that the notifier is never kept from reading acknowledgements by what it sends itself.
type receiver struct {
	out     chan *eventpb.ConsumeResponse // closed at the end
	leave   chan struct{}                 // closed when nobody wants messages any more
	running sync.WaitGroup
	err     error // why the stream ended; valid when running is done
}

func newReceiver(s consumeStream) *receiver {
	r := &receiver{out: make(chan *eventpb.ConsumeResponse), leave: make(chan struct{})}
	r.running.Go(func() { r.receive(s) })
	return r
}

func (r *receiver) receive(s consumeStream) {
	defer close(r.out)
	for {
		var m *eventpb.ConsumeResponse
		if m, r.err = s.Recv(); r.err != nil {
			return
		}
		select {
		case r.out <- m:
		case <-r.leave:
		}
	}
}

// end drops what still comes and returns why the stream ended.
func (r *receiver) end() error {
	close(r.leave)
	r.running.Wait()
	return r.err
}

// endOf turns a stream's end without an error into one: a notifier ends no stream by itself.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Unavailable, "the stream was ended")
	}
	return err
}
