package notifier

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
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
	b := bustest.Open(t)
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
	b := bustest.Open(t)
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

// betweenPulls is a log whose next look at positions comes when no member waits, because each is about to ask for events again.
type betweenPulls struct {
	*bus.Bus
	between atomic.Bool
}

func (b *betweenPulls) Positions(ctx context.Context) ([]bus.PositionState, error) {
	all, err := b.Bus.Positions(ctx)
	if b.between.Swap(false) {
		for i := range all {
			all[i].Waiting = 0
		}
	}
	return all, err
}

func TestPositionRefusals(t *testing.T) {
	log := &betweenPulls{Bus: bustest.Open(t)}
	pace := quick()
	pace.positions = time.Hour // others don't look
	c := dial(t, serveAt(t, pace, Options{Log: log}))
	member, _ := consume(t, c, &eventpb.OpenPosition{Name: "p", Account: "acme"})
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
	until(t, "the member waits", func() bool {
		list, err := client.ListPositions(t.Context(), &eventpb.ListPositionsRequest{})
		return err == nil && list.GetPositions()[0].GetWaiting() == 1
	})
	log.between.Store(true)
	_, err = client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p"})
	if status.Code(err) != codes.FailedPrecondition || log.between.Load() {
		t.Errorf("a position with a member is removed with %v, want FailedPrecondition", err)
	}
	if _, err := client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p", Force: true}); err != nil {
		t.Error(err)
	}
	if m, err := member.Recv(); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("the member of a removed position gets %v, %v, want Aborted", m, err)
	}
	_, err = client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("a removed position is removed with %v, want NotFound", err)
	}
}

// A stream ends with what ended it, also while the log is asked for gaps.
func TestEndsWhileAsking(t *testing.T) {
	b := bustest.Open(t)
	pace := quick()
	pace.keep = time.Nanosecond // it asks all the time
	c := dial(t, serveAt(t, pace, Options{Log: b}))
	closed, _ := consume(t, c, &eventpb.OpenPosition{Name: "closed"})
	leave(t, closed)
	removed, _ := consume(t, c, &eventpb.OpenPosition{Name: "removed"})
	if err := b.RemovePosition(t.Context(), bus.PositionKey{Name: "removed"}); err != nil {
		t.Fatal(err)
	}
	if _, err := removed.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the member of a removed position gets %v, want Aborted", err)
	}
}

// next returns the next response that a member gets.
func next(t *testing.T, s consumer) *eventpb.ConsumeResponse {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// leave closes a member's stream and waits until the notifier has taken all its acknowledgements.
func leave(t *testing.T, s consumer) {
	t.Helper()
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What was removed while nobody consumed is told to each stream of the position, until one has acknowledged it.
func TestPositionIsToldOfAGap(t *testing.T) {
	b := bustest.Open(t)
	n := serve(t, Options{Log: b})
	c := dial(t, n)
	open := &eventpb.OpenPosition{Name: "away", Account: "acme", From: &eventpb.OpenPosition_FromSequence{}}
	publish(t, b, repeat(target("acme", "a.j"), 4)...)
	s, _ := consume(t, c, open)
	deliveries(t, s, 4)
	ack(t, s, 1, 3)
	leave(t, s)
	until(t, "acknowledgements have arrived", func() bool { return onlyPosition(t, c).GetAckedSequence() == 1 })
	publish(t, b, target("other", "a.j"), target("acme", "a.j")) // 5 and 6
	keep := trim(t, b)                                           // 7
	late := publish(t, b, target("acme", "a.j"))[0]
	until(t, "the metrics show the gap", func() bool {
		text, err := testutil.CollectAndFormat(n.metrics.positions, expfmt.TypeTextPlain, "zstats_position_missed_sequences")
		return err == nil && strings.Contains(string(text), `{owner_account="",owner_source="",position="away"} 5`)
	})

	for _, how := range []string{"first", "again"} {
		s, opened := consume(t, c, open)
		if opened.GetCreated() {
			t.Errorf("%s: the position was made anew", how)
		}
		g := next(t, s).GetGap()
		if g.GetFirstSequence() != 2 || g.GetLastSequence() != keep-1 {
			t.Errorf("%s: the gap is %v, want 2 to %d", how, g, keep-1)
		}
		if got := next(t, s).GetDelivery().GetEvent().GetSequence(); got != late {
			t.Errorf("%s: event %d came, want %d", how, got, late)
		}
		if how == "again" {
			ack(t, s, g.GetLastSequence(), late)
		}
		leave(t, s)
	}
	s, _ = consume(t, c, open)
	want := publish(t, b, target("acme", "a.j"))[0]
	if got := next(t, s).GetDelivery().GetEvent().GetSequence(); got != want {
		t.Errorf("behind the acknowledged gap event %d came, want %d", got, want)
	}
	if p := onlyPosition(t, c); p.GetGap() != nil {
		t.Errorf("the acknowledged gap is still listed: %v", p)
	}
}

// The last sequence of a gap may be that of an event in flight: each wants its own acknowledgement.
func TestEventAtTheEndOfAGap(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	s, _ := consume(t, c, &eventpb.OpenPosition{Name: "slow", From: &eventpb.OpenPosition_FromSequence{}})
	publish(t, b, repeat(target("acme", "a.j"), 3)...)
	deliveries(t, s, 3)
	trim(t, b)
	if g := next(t, s).GetGap(); g.GetLastSequence() != 3 {
		t.Fatalf("the gap is %v, want it to end with event 3", g)
	}
	ack(t, s, 3, 1, 2)
	leave(t, s)
	if g := onlyPosition(t, c).GetGap(); g.GetLastSequence() != 3 {
		t.Fatalf("the gap is %v once the event at its end is acknowledged", g)
	}
	s, _ = consume(t, c, &eventpb.OpenPosition{Name: "slow"})
	g := next(t, s).GetGap()
	ack(t, s, g.GetLastSequence())
	leave(t, s)
	if g := onlyPosition(t, c).GetGap(); g != nil {
		t.Errorf("the gap is %v, and was acknowledged", g)
	}
}

// A new position that asks for what is gone is told so, like a subscription.
func TestNewPositionIsToldOfAGap(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	publish(t, b, repeat(target("acme", "a.j"), 4)...)
	keep := trim(t, b)
	want := publish(t, b, target("acme", "a.j"))[0]
	s, _ := consume(t, c, &eventpb.OpenPosition{Name: "late", From: &eventpb.OpenPosition_FromSequence{FromSequence: 2}})
	if g := next(t, s).GetGap(); g.GetFirstSequence() != 2 || g.GetLastSequence() != keep-1 {
		t.Errorf("the gap is %v, want 2 to %d", g, keep-1)
	}
	if got := deliveries(t, s, 1); got[0] != want {
		t.Errorf("event %d came, want %d", got[0], want)
	}
}

// A member that is at work learns of a gap too.
func TestGapUnderAMember(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	s, _ := consume(t, c, &eventpb.OpenPosition{Name: "slow", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: 1})
	publish(t, b, repeat(target("acme", "a.j"), 3)...)
	deliveries(t, s, 1)
	keep := trim(t, b)
	g := next(t, s).GetGap()
	if g.GetFirstSequence() != 1 || g.GetLastSequence() != keep-1 {
		t.Errorf("the gap is %v, want 1 to %d", g, keep-1)
	}
	ack(t, s, 1, g.GetLastSequence())
	until(t, "the gap is acknowledged", func() bool { return onlyPosition(t, c).GetGap() == nil })
}

// An event that its member doesn't acknowledge in time ends the member's stream, and goes to another one.
func TestAckTimeout(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	publish(t, b, repeat(target("acme", "a.j"), 2)...)
	open := &eventpb.OpenPosition{Name: "stuck", From: &eventpb.OpenPosition_FromSequence{}, AckTimeoutMs: 50}
	s, _ := consume(t, c, open)
	deliveries(t, s, 2)
	ack(t, s, 2)
	if _, err := s.Recv(); status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "sequence 1 ") {
		t.Fatalf("the stream ends with %v, want DeadlineExceeded of event 1", err)
	}
	again, _ := consume(t, c, open)
	d := next(t, again).GetDelivery()
	if d.GetEvent().GetSequence() != 1 || d.GetAttempt() != 2 {
		t.Errorf("got %v, want event 1 for the second time", d)
	}
}

// The log is told of events that a member works on, so that others don't get them, also while nothing can be sent to the member.
func TestMembersKeep(t *testing.T) {
	const n = 1000
	s := bustest.Serve(t, bus.ServerOptions{})
	b := bustest.Connect(t, s, event.Limits{})
	kept := bustest.Kept(t, s)
	// Long names, so that buffers hold few events.
	publish(t, b, repeat(target("acme", strings.Repeat("a", 500)+".j"), n)...)
	small := []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
	consume(t, dial(t, serve(t, Options{Log: b}), small...),
		&eventpb.OpenPosition{Name: "slow", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: n})
	until(t, "the log is told of each, more than once", func() bool {
		all := kept()
		return len(all) == n && slices.Min(slices.Collect(maps.Values(all))) > 2
	})
}

// A member that doesn't read keeps its events in time like any other: its stream ends although nothing can be sent, and others get
// what it had.
func TestMemberThatDoesNotRead(t *testing.T) {
	const n = 1000
	b := bustest.Open(t)
	pace := quick()
	pace.keep = 200 * time.Millisecond // for a thousand events at once
	server := serveAt(t, pace, Options{Log: b})
	// Long names, so that buffers hold few events.
	sent := publish(t, b, repeat(target("acme", strings.Repeat("a", 500)+".j"), n)...)
	open := &eventpb.OpenPosition{Name: "deaf", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: n, AckTimeoutMs: 500}
	small := []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
	deaf, _ := consume(t, dial(t, server, small...), open)
	until(t, "its stream has ended", func() bool {
		return testutil.ToFloat64(server.metrics.ends.WithLabelValues(codes.DeadlineExceeded.String())) == 1
	})
	open.AckTimeoutMs = 0
	other, _ := consume(t, dial(t, server), open)
	if got := slices.Sorted(slices.Values(deliveries(t, other, n))); !slices.Equal(got, sent) {
		t.Errorf("the other got %d events, want all %d", len(got), n)
	}
	var err error
	for err == nil { // what was on its way
		_, err = deaf.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the stream ended with %v, want DeadlineExceeded", err)
	}
}

// Positions of one name that belong to two accounts are apart, and neither sees the other.
func TestPositionsOfTokens(t *testing.T) {
	b := bustest.Open(t)
	tokens, err := account.Parse([]string{"acme:acme-token", "other:other-token"})
	if err != nil {
		t.Fatal(err)
	}
	n := serve(t, Options{Log: b, Tokens: tokens})
	publish(t, b, target("acme", "a.j"), target("other", "a.j"))
	open := &eventpb.OpenPosition{Name: "billing", From: &eventpb.OpenPosition_FromSequence{}}
	for i, name := range []string{"acme", "other"} {
		c := dial(t, n, grpc.WithPerRPCCredentials(bearer(name+"-token")))
		s, opened := consume(t, c, open)
		if got := deliveries(t, s, 1); !opened.GetCreated() || got[0] != uint64(i+1) {
			t.Errorf("%s: created %v, got event %d", name, opened.GetCreated(), got)
		}
		leave(t, s)
		if p := onlyPosition(t, c); p.GetOwnerAccount() != name {
			t.Errorf("%s sees the position of %s", name, p.GetOwnerAccount())
		}
	}
	c := dial(t, n, grpc.WithPerRPCCredentials(bearer("acme-token")))
	client := eventpb.NewNotifierClient(c)
	// The owner in the request is not believed.
	if _, err := client.RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "billing", OwnerAccount: "other"}); err != nil {
		t.Fatal(err)
	}
	if list, err := client.ListPositions(t.Context(), &eventpb.ListPositionsRequest{}); err != nil || len(list.GetPositions()) != 0 {
		t.Errorf("acme sees %v, %v after it has removed its position", list, err)
	}
	other := dial(t, n, grpc.WithPerRPCCredentials(bearer("other-token")))
	if p := onlyPosition(t, other); p.GetOwnerAccount() != "other" {
		t.Errorf("the position of the other account is %v", p)
	}
}

func onlyPosition(t *testing.T, c *grpc.ClientConn) *eventpb.Position {
	t.Helper()
	list, err := eventpb.NewNotifierClient(c).ListPositions(t.Context(), &eventpb.ListPositionsRequest{})
	if err != nil || len(list.GetPositions()) != 1 {
		t.Fatalf("positions are %v, %v; want one", list, err)
	}
	return list.GetPositions()[0]
}

// bearer sends a token with each call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false }
