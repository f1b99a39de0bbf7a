package main

import (
	"context"
	"errors"
	"io"
	"log"

	"google.golang.org/grpc"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// maxBatch bounds how many events are journaled by one sync and acknowledged together.
const maxBatch = 100

// member is one stream of the position.
type member struct {
	stream grpc.BidiStreamingClient[eventpb.ConsumeRequest, eventpb.ConsumeResponse]
	inbox  chan *eventpb.ConsumeResponse // closed when the stream has ended
	end    error                         // why; valid once inbox is closed
}

// newMember receives in the background until the stream ends.
func newMember(stream grpc.BidiStreamingClient[eventpb.ConsumeRequest, eventpb.ConsumeResponse]) *member {
	m := &member{stream: stream, inbox: make(chan *eventpb.ConsumeResponse, maxBatch)}
	go func() {
		defer close(m.inbox)
		for {
			var r *eventpb.ConsumeResponse
			if r, m.end = stream.Recv(); m.end != nil {
				return
			}
			select {
			case m.inbox <- r:
			case <-stream.Context().Done():
				m.end = stream.Context().Err()
				return
			}
		}
	}()
	return m
}

// run opens the position and works on what it brings, until ctx ends or the stream breaks.
func (m *member) run(ctx context.Context, open *eventpb.OpenPosition, w *worker) (opened bool, err error) {
	if err := m.send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Open{Open: open}}); err != nil {
		return false, err
	}
	for {
		batch, err := m.next(ctx)
		if err != nil {
			return opened, err
		}
		if batch == nil {
			return opened, m.leave()
		}
		opened = true // whatever comes first, it comes from an open position
		if err := m.handle(batch, w); err != nil {
			return opened, err
		}
	}
}

// next waits for a response and returns it with those that are there already; nil when ctx ends.
func (m *member) next(ctx context.Context) ([]*eventpb.ConsumeResponse, error) {
	var batch []*eventpb.ConsumeResponse
	select {
	case <-ctx.Done():
		return nil, nil
	case r, ok := <-m.inbox:
		if !ok {
			return nil, m.end
		}
		batch = append(batch, r)
	}
	for len(batch) < maxBatch {
		select {
		case r, ok := <-m.inbox:
			if !ok {
				return batch, nil // the next call says why
			}
			batch = append(batch, r)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// handle works on a batch and acknowledges it. The order is what makes it safe: first durable, then acknowledged.
func (m *member) handle(batch []*eventpb.ConsumeResponse, w *worker) error {
	var events []*eventpb.ScrapeWritten
	var done []uint64
	for _, r := range batch {
		switch {
		case r.GetOpened() != nil:
			log.Printf("position opened, new: %t", r.GetOpened().GetCreated())
		case r.GetDelivery() != nil:
			events = append(events, r.GetDelivery().GetEvent())
			done = append(done, r.GetDelivery().GetEvent().GetSequence())
		case r.GetGap() != nil:
			// What to do is for each consumer to decide: the files may still be there, to be found by their paths.
			log.Printf("events %d to %d may be missing: they were removed before they were acknowledged",
				r.GetGap().GetFirstSequence(), r.GetGap().GetLastSequence())
			done = append(done, r.GetGap().GetLastSequence())
		}
	}
	if err := w.work(events); err != nil {
		return err
	}
	if len(done) == 0 {
		return nil
	}
	return m.send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Ack{Ack: &eventpb.AckEvents{Sequences: done}}})
}

// send sends a request. If the stream has ended, the error says why.
func (m *member) send(r *eventpb.ConsumeRequest) error {
	if err := m.stream.Send(r); err == nil {
		return nil
	}
	return m.wait()
}

// leave tells the notifier that no more acknowledgements come and waits until it has taken those before. What it has sent
// meanwhile is for other members.
func (m *member) leave() error {
	if err := m.stream.CloseSend(); err != nil {
		return err
	}
	if err := m.wait(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// wait waits for the stream to end, and says why.
func (m *member) wait() error {
	for range m.inbox {
	}
	return m.end
}
