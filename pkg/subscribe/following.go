package subscribe

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// Follow subscribes, with a nil request to everything from now on, and calls handle with each update until ctx ends, handle
// returns an error, which Follow returns unless it is ErrDone, or there is an error that no repetition cures. Before the first
// Started every error ends it; the error wraps ErrUnreachable if nothing answers.
func (c *Client) Follow(ctx context.Context, r *eventpb.SubscribeRequest, handle func(Update) error) error {
	f := &following{attempts: attempts{client: c, handle: handle}, request: new(eventpb.SubscribeRequest)}
	proto.Merge(f.request, r)
	return f.run(ctx, f.stream)
}

// following is the state of one Follow.
type following struct {
	attempts
	// request is what to ask for next time.
	request *eventpb.SubscribeRequest
}

// stream takes what one subscription brings.
func (f *following) stream(ctx context.Context, n eventpb.NotifierClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.Subscribe(ctx, f.request)
	if err != nil {
		return err
	}
	for !f.ended {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		f.take(m)
	}
	return nil
}

// take notes how far a message brings the subscription, and hands it on.
func (f *following) take(m *eventpb.SubscribeResponse) {
	switch m := m.GetMessage().(type) {
	case *eventpb.SubscribeResponse_Started:
		f.isUp()
		if f.request.GetFrom() == nil {
			f.resumeFrom(m.Started.GetNextSequence())
		}
		f.tell(Update{Started: m.Started})
	case *eventpb.SubscribeResponse_ScrapeWritten:
		f.resumeFrom(m.ScrapeWritten.GetSequence() + 1)
		f.tell(Update{Event: m.ScrapeWritten})
	case *eventpb.SubscribeResponse_Gap:
		f.resumeFrom(m.Gap.GetLastSequence() + 1)
		f.tell(Update{Gap: m.Gap})
	case *eventpb.SubscribeResponse_Progress:
		f.resumeFrom(m.Progress.GetNextSequence())
		f.tell(Update{Progress: m.Progress})
	} // or what a newer notifier may say besides
}

// resumeFrom makes the next request begin with a sequence, unless it does so later already.
func (f *following) resumeFrom(sequence uint64) {
	if from, ok := f.request.GetFrom().(*eventpb.SubscribeRequest_FromSequence); ok {
		sequence = max(sequence, from.FromSequence)
	}
	f.request.From = &eventpb.SubscribeRequest_FromSequence{FromSequence: sequence}
}
