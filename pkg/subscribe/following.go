package subscribe

import (
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// following is the state of one Follow.
type following struct {
	handle  func(Update) error
	handled error // what handle returned to end it

	// request is what to ask for next time.
	request *eventpb.SubscribeRequest
	backoff time.Duration
	// started is set while the current subscription is in place, everStarted once any was.
	started, everStarted bool
}

// take notes how far a message brings the subscription, and hands it on.
func (f *following) take(m *eventpb.SubscribeResponse) error {
	switch m := m.GetMessage().(type) {
	case *eventpb.SubscribeResponse_Started:
		f.started, f.everStarted = true, true
		if f.request.GetFrom() == nil {
			f.resumeFrom(m.Started.GetNextSequence())
		}
		return f.handle(Update{Started: m.Started})
	case *eventpb.SubscribeResponse_ScrapeWritten:
		f.resumeFrom(m.ScrapeWritten.GetSequence() + 1)
		return f.handle(Update{Event: m.ScrapeWritten})
	case *eventpb.SubscribeResponse_Gap:
		f.resumeFrom(m.Gap.GetLastSequence() + 1)
		return f.handle(Update{Gap: m.Gap})
	case *eventpb.SubscribeResponse_Progress:
		f.resumeFrom(m.Progress.GetNextSequence())
		return f.handle(Update{Progress: m.Progress})
	}
	return nil // what a newer notifier may say besides
}

// resumeFrom makes the next request begin with a sequence, unless it does so later already.
func (f *following) resumeFrom(sequence uint64) {
	if from, ok := f.request.GetFrom().(*eventpb.SubscribeRequest_FromSequence); ok {
		sequence = max(sequence, from.FromSequence)
	}
	f.request.From = &eventpb.SubscribeRequest_FromSequence{FromSequence: sequence}
}
