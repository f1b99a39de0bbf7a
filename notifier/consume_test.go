package notifier

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

type consumer = grpc.BidiStreamingClient[eventpb.ConsumeRequest, eventpb.ConsumeResponse]

// consume opens a member of a position.
func consume(t *testing.T, c *grpc.ClientConn, o *eventpb.OpenPosition) (consumer, *eventpb.Opened) {
	t.Helper()
	s, err := eventpb.NewNotifierClient(c).Consume(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Open{Open: o}}); err != nil {
		t.Fatal(err)
	}
	first, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return s, first.GetOpened()
}

func deliveries(t *testing.T, s consumer, n int) (out []uint64) {
	t.Helper()
	for range n {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.GetDelivery().GetEvent().GetSequence())
	}
	return out
}

func ack(t *testing.T, s consumer, sequences ...uint64) {
	t.Helper()
	r := &eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Ack{Ack: &eventpb.AckEvents{Sequences: sequences}}}
	if err := s.Send(r); err != nil {
		t.Fatal(err)
	}
}

// A position goes on at another notifier, with what was not acknowledged.
func TestPositionGoesOn(t *testing.T) {
	b := openBus(t)
	one, two := serve(t, Options{Log: b}), serve(t, Options{Log: b})
	publish(t, b, repeat(target("acme", "a.j"), 6)...)
	open := &eventpb.OpenPosition{Name: "billing", From: &eventpb.OpenPosition_FromSequence{}}
	s, opened := consume(t, dial(t, one), open)
	if !opened.GetCreated() {
		t.Error("the position was there before")
	}
	deliveries(t, s, 6)
	ack(t, s, 1, 2, 3, 5)
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err == nil || status.Code(err) != codes.Unknown { // io.EOF
		t.Fatalf("the end is %v, want EOF", err)
	}
	one.stop()
	s, opened = consume(t, dial(t, two), open)
	if opened.GetCreated() {
		t.Error("the position was made anew")
	}
	got := deliveries(t, s, 2)
	slices.Sort(got)
	if !slices.Equal(got, []uint64{4, 6}) {
		t.Errorf("got %d again, want 4 and 6", got)
	}
}

// Two members share the events, and one gets what the other had when it left.
func TestMembersShare(t *testing.T) {
	b := openBus(t)
	c := dial(t, serve(t, Options{Log: b}))
	open := &eventpb.OpenPosition{Name: "share", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: 2}
	first, _ := consume(t, c, open)
	publish(t, b, repeat(target("acme", "a.j"), 4)...)
	seen := deliveries(t, first, 2)
	second, _ := consume(t, c, open)
	rest := deliveries(t, second, 2)
	all := slices.Sorted(slices.Values(append(slices.Clone(seen), rest...)))
	if !slices.Equal(all, []uint64{1, 2, 3, 4}) {
		t.Fatalf("members got %d and %d", seen, rest)
	}
	ack(t, second, rest...)
	if err := first.CloseSend(); err != nil {
		t.Fatal(err)
	}
	again := slices.Sorted(slices.Values(deliveries(t, second, 2)))
	if !slices.Equal(again, slices.Sorted(slices.Values(seen))) {
		t.Errorf("got %d of the member that left, want %d", again, seen)
	}
}

func TestPositionRefusals(t *testing.T) {
	b := openBus(t)
	c := dial(t, serve(t, Options{Log: b}))
	consume(t, c, &eventpb.OpenPosition{Name: "p", Account: "acme"})
	for _, c2 := range []struct {
		open *eventpb.OpenPosition
		code codes.Code
	}{
		{&eventpb.OpenPosition{Name: "p"}, codes.FailedPrecondition},
		{&eventpb.OpenPosition{Name: ""}, codes.InvalidArgument},
		{&eventpb.OpenPosition{Name: "a b"}, codes.InvalidArgument},
		{&eventpb.OpenPosition{Name: strings.Repeat("x", 65)}, codes.InvalidArgument},
		{&eventpb.OpenPosition{Name: "q", MaxInFlight: 1001}, codes.InvalidArgument},
	} {
		s, err := eventpb.NewNotifierClient(c).Consume(t.Context())
		if err == nil {
			err = s.Send(&eventpb.ConsumeRequest{Message: &eventpb.ConsumeRequest_Open{Open: c2.open}})
		}
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != c2.code {
			t.Errorf("open %v: %v, want %s", c2.open, err, c2.code)
		}
	}
	client := eventpb.NewNotifierClient(c)
	list, err := client.ListPositions(t.Context(), &eventpb.ListPositionsRequest{})
	if err != nil || len(list.GetPositions()) != 1 || list.GetPositions()[0].GetAccount() != "acme" {
		t.Errorf("positions are %v, %v", list, err)
	}
	if _, err := client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p", Force: true}); err != nil {
		t.Error(err)
	}
	_, err = client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("a removed position is removed with %v, want NotFound", err)
	}
}
