package subscribe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/test/freeaddr"
)

// billing opens a position, one event at a time, so that nobody else is given what it doesn't take.
func billing() *eventpb.OpenPosition {
	return &eventpb.OpenPosition{Name: "billing", Account: "acme", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: 1}
}

// takeSome consumes billing until n events were handled and returns them, and how the end came about.
func takeSome(t *testing.T, c *subscribe.Client, n int, end func() error) ([]uint64, error) {
	t.Helper()
	var got []uint64
	err := c.Consume(t.Context(), billing(), func(u subscribe.Update) error {
		if u.Delivery == nil {
			return nil
		}
		if got = append(got, u.Delivery.GetEvent().GetSequence()); len(got) == n {
			return end()
		}
		return nil
	})
	return got, err
}

// However a consumer ends, what it has handled doesn't come again, and what it hasn't does.
func TestConsumeGoesOn(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := run(t, b, "127.0.0.1:0")
	c := client(t, subscribe.Options{Addr: addr})
	for range 6 {
		appendEvent(t, b)
	}
	errBroken := errors.New("broken")
	for _, step := range []struct {
		n    int
		end  error
		want []uint64
		err  error
	}{
		{2, subscribe.ErrDone, []uint64{1, 2}, nil},
		{2, errBroken, []uint64{3, 4}, errBroken},
		{1, errBroken, []uint64{4}, errBroken},
		{3, subscribe.ErrDone, []uint64{4, 5, 6}, nil},
	} {
		got, err := takeSome(t, c, step.n, func() error { return step.end })
		if !slices.Equal(got, step.want) || !errors.Is(err, step.err) {
			t.Errorf("got %d and %v, want %d and %v", got, err, step.want, step.err)
		}
	}
}

// A consumer that is interrupted while it handles an event has that acknowledged.
func TestConsumeInterrupted(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := run(t, b, "127.0.0.1:0")
	c := client(t, subscribe.Options{Addr: addr})
	appendEvent(t, b)
	second := appendEvent(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Consume(ctx, billing(), func(u subscribe.Update) error {
		if u.Delivery != nil {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	got, err := takeSome(t, c, 1, func() error { return subscribe.ErrDone })
	if err != nil || !slices.Equal(got, []uint64{second}) {
		t.Errorf("got %d and %v, want the event that was not handled, %d", got, err, second)
	}
}

// The notifier goes away and comes back at the same address: every event comes, and none that was acknowledged comes again.
func TestConsumesOverRestarts(t *testing.T) {
	b := bustest.Open(t)
	addr, stop := run(t, b, freeaddr.One(t))
	var want, got []uint64
	for range 3 {
		want = append(want, appendEvent(t, b))
	}
	var opened []bool
	err := client(t, subscribe.Options{Addr: addr}).Consume(t.Context(), billing(), func(u subscribe.Update) error {
		switch {
		case u.Opened != nil:
			opened = append(opened, u.Opened.GetCreated())
		case u.Lost != nil && len(want) == 3:
			for range 3 {
				want = append(want, appendEvent(t, b))
			}
			_, stop = run(t, b, addr)
		case u.Delivery != nil:
			got = append(got, u.Delivery.GetEvent().GetSequence())
			if len(got) == 2 {
				stop()
			}
		}
		if slices.Contains(got, 6) {
			return subscribe.ErrDone
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	// The notifier stopped before the second event was acknowledged.
	if want := slices.Insert(want, 2, want[1]); !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	if !slices.Equal(opened, []bool{true, false}) {
		t.Errorf("opened as new: %v, want once", opened)
	}
}

// A position that selects something else is for the caller to correct, also when it was another one before.
func TestConsumeRefused(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := run(t, b, "127.0.0.1:0")
	c := client(t, subscribe.Options{Addr: addr})
	if _, err := takeSomeOpened(t, c, billing()); err != nil {
		t.Fatal(err)
	}
	other := billing()
	other.Account = "other"
	updates, err := takeSomeOpened(t, c, other)
	if status.Code(err) != codes.FailedPrecondition || updates != 0 {
		t.Errorf("%d updates and %v, want FailedPrecondition", updates, err)
	}
}

// takeSomeOpened consumes until the position is open.
func takeSomeOpened(t *testing.T, c *subscribe.Client, o *eventpb.OpenPosition) (updates int, err error) {
	t.Helper()
	err = c.Consume(t.Context(), o, func(subscribe.Update) error {
		updates++
		return subscribe.ErrDone
	})
	return updates, err
}

// dictation is a notifier whose positions say what they are told to, once, and note what is acknowledged.
type dictation struct {
	eventpb.UnimplementedNotifierServer
	send []*eventpb.ConsumeResponse
	end  codes.Code // how the first stream ends, when all is acknowledged

	mu    sync.Mutex // guards what follows
	opens int
	acks  []uint64
}

func (d *dictation) Consume(s grpc.BidiStreamingServer[eventpb.ConsumeRequest, eventpb.ConsumeResponse]) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	d.mu.Lock()
	d.opens++
	first := d.opens == 1
	d.mu.Unlock()
	if err := s.Send(&eventpb.ConsumeResponse{Message: &eventpb.ConsumeResponse_Opened{Opened: &eventpb.Opened{}}}); err != nil {
		return err
	}
	for _, m := range d.send {
		if err := s.Send(m); err != nil || !first {
			return err
		}
		r, err := s.Recv()
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.acks = append(d.acks, r.GetAck().GetSequences()...)
		d.mu.Unlock()
	}
	return status.Error(d.end, "enough")
}

// Gaps are acknowledged by their end, and an event that took too long is no reason to give up.
func TestConsumeAcknowledges(t *testing.T) {
	d := &dictation{end: codes.DeadlineExceeded, send: []*eventpb.ConsumeResponse{
		{Message: &eventpb.ConsumeResponse_Gap{Gap: &eventpb.Gap{FirstSequence: 1, LastSequence: 5}}},
		{Message: &eventpb.ConsumeResponse_Delivery{Delivery: &eventpb.Delivery{Event: &eventpb.ScrapeWritten{Sequence: 7}, Attempt: 3}}},
	}}
	var got []string
	err := client(t, subscribe.Options{Addr: play(t, d)}).Consume(t.Context(), billing(), func(u subscribe.Update) error {
		switch {
		case u.Opened != nil:
			got = append(got, "opened")
		case u.Gap != nil:
			got = append(got, "gap")
		case u.Delivery != nil:
			got = append(got, "delivery")
		case u.Lost != nil:
			got = append(got, "lost "+status.Code(u.Lost.Err).String())
		}
		if len(got) == 5 {
			return subscribe.ErrDone
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"opened", "gap", "delivery", "lost DeadlineExceeded", "opened"}, got); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.acks, []uint64{5, 7}) {
		t.Errorf("acknowledged %d, want the gap's end, 5, and 7", d.acks)
	}
}

// A consumer whose position somebody removes is told so, and goes on with the position as it is made anew.
func TestConsumeRemoved(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := run(t, b, "127.0.0.1:0")
	c := client(t, subscribe.Options{Addr: addr})
	appendEvent(t, b)
	var got []string
	err := c.Consume(t.Context(), billing(), func(u subscribe.Update) error {
		switch {
		case u.Opened != nil:
			got = append(got, fmt.Sprintf("opened, new %v", u.Opened.GetCreated()))
		case u.Delivery != nil:
			got = append(got, fmt.Sprintf("event %d", u.Delivery.GetEvent().GetSequence()))
			if len(got) > 2 {
				return subscribe.ErrDone
			}
			return c.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "billing", Force: true})
		case u.Lost != nil:
			got = append(got, u.Lost.Err.Error())
			if status.Code(u.Lost.Err) != codes.Aborted {
				t.Errorf("lost with %v, want Aborted", status.Code(u.Lost.Err))
			}
		}
		return nil
	})
	want := []string{
		"opened, new true", "event 1", "notifier at " + addr + ": the position was removed: opening it again makes it anew",
		"opened, new true", "event 1",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v; updates (-want +got):\n%s", err, diff)
	}
}

func TestListAndRemovePositions(t *testing.T) {
	b := bustest.Open(t)
	addr, stop := run(t, b, freeaddr.One(t))
	c := client(t, subscribe.Options{Addr: addr})
	if _, err := takeSomeOpened(t, c, billing()); err != nil {
		t.Fatal(err)
	}
	all, err := c.Positions(t.Context())
	if err != nil || len(all) != 1 || all[0].GetName() != "billing" || all[0].GetAccount() != "acme" {
		t.Errorf("positions: %v, %v", all, err)
	}
	r := &eventpb.RemovePositionRequest{Name: "billing", Force: true}
	if err := c.RemovePosition(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := c.RemovePosition(t.Context(), r); status.Code(err) != codes.NotFound {
		t.Errorf("again: %v, want NotFound", err)
	}
	stop()
	if _, err := c.Positions(t.Context()); !errors.Is(err, subscribe.ErrUnreachable) {
		t.Errorf("where nothing listens: %v", err)
	}
}

// reader is a notifier that delivers one event and notes what it has read of a stream before the stream was closed.
type reader struct {
	eventpb.UnimplementedNotifierServer
	mu   sync.Mutex // guards read
	read []string
}

func (r *reader) Consume(s grpc.BidiStreamingServer[eventpb.ConsumeRequest, eventpb.ConsumeResponse]) error {
	for _, m := range []*eventpb.ConsumeResponse{
		{Message: &eventpb.ConsumeResponse_Opened{Opened: &eventpb.Opened{}}},
		{Message: &eventpb.ConsumeResponse_Delivery{Delivery: &eventpb.Delivery{Event: &eventpb.ScrapeWritten{Sequence: 7}}}},
	} {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	for {
		m, err := s.Recv()
		r.mu.Lock()
		switch {
		case m.GetOpen() != nil:
			r.read = append(r.read, "open")
		case m.GetAck() != nil:
			r.read = append(r.read, "ack")
		case errors.Is(err, io.EOF):
			r.read = append(r.read, "end")
			err = s.Send(new(eventpb.ConsumeResponse)) // may come when nobody wants it any more
			r.mu.Unlock()
			return err
		}
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Consume ends when the notifier has read everything, so that whoever opens the position next finds it so.
func TestConsumeSaysFarewell(t *testing.T) {
	r := new(reader)
	err := client(t, subscribe.Options{Addr: play(t, r)}).Consume(t.Context(), billing(), func(u subscribe.Update) error {
		if u.Delivery != nil {
			return subscribe.ErrDone
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !slices.Equal(r.read, []string{"open", "ack", "end"}) {
		t.Errorf("the notifier read %v until Consume ended with %v", r.read, err)
	}
}
