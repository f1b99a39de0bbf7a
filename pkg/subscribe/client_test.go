package subscribe_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/notifier"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/test/freeaddr"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// script is a notifier that answers each subscription with the next step, and keeps what it was asked.
type script struct {
	eventpb.UnimplementedNotifierServer
	steps []step

	mu     sync.Mutex // guards what follows
	asked  []*eventpb.SubscribeRequest
	tokens []string
}

// step is what one subscription gets, and how it ends.
type step struct {
	send []*eventpb.SubscribeResponse
	end  codes.Code
}

func (s *script) Subscribe(r *eventpb.SubscribeRequest, stream grpc.ServerStreamingServer[eventpb.SubscribeResponse]) error {
	s.mu.Lock()
	n := len(s.asked)
	s.asked = append(s.asked, r)
	s.tokens = append(s.tokens, strings.Join(metadata.ValueFromIncomingContext(stream.Context(), "authorization"), ","))
	s.mu.Unlock()
	if n >= len(s.steps) {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	for _, m := range s.steps[n].send {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return status.Error(s.steps[n].end, "the step ends")
}

// play serves a notifier that is made up and returns its address.
func play(t *testing.T, s eventpb.NotifierServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	eventpb.RegisterNotifierServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func client(t *testing.T, o subscribe.Options) *subscribe.Client {
	t.Helper()
	o.MinBackoff, o.MaxBackoff = time.Millisecond, 20*time.Millisecond
	c, err := subscribe.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func started(next uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Started{Started: &eventpb.Started{NextSequence: next}}}
}

func written(sequence uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_ScrapeWritten{ScrapeWritten: &eventpb.ScrapeWritten{Sequence: sequence}}}
}

func gap(first, last uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Gap{Gap: &eventpb.Gap{FirstSequence: first, LastSequence: last}}}
}

func progress(next uint64) *eventpb.SubscribeResponse {
	return &eventpb.SubscribeResponse{Message: &eventpb.SubscribeResponse_Progress{Progress: &eventpb.Progress{NextSequence: next}}}
}

func from(sequence uint64) *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{FromSequence: sequence}}
}

func since(us int64) *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: us}}
}

// What is asked after a subscription ended depends on how far it came.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name string
		r    *eventpb.SubscribeRequest
		send []*eventpb.SubscribeResponse
		want *eventpb.SubscribeRequest
	}{
		{"from now, nothing came", &eventpb.SubscribeRequest{}, []*eventpb.SubscribeResponse{started(7)}, from(7)},
		{"from now, events came", &eventpb.SubscribeRequest{}, []*eventpb.SubscribeResponse{started(7), written(8), written(11)}, from(12)},
		{"from a sequence, nothing came", from(3), []*eventpb.SubscribeResponse{started(7)}, from(3)},
		{"from a sequence, an event came", from(3), []*eventpb.SubscribeResponse{started(7), written(4)}, from(5)},
		{"since a time, nothing came", since(9), []*eventpb.SubscribeResponse{started(7)}, since(9)},
		{"since a time, an event came", since(9), []*eventpb.SubscribeResponse{started(7), written(4)}, from(5)},
		{"progress", &eventpb.SubscribeRequest{}, []*eventpb.SubscribeResponse{started(7), written(8), progress(20)}, from(20)},
		{"a gap", from(1), []*eventpb.SubscribeResponse{started(9), gap(1, 5)}, from(6)},
		{"a gap that was reported late", from(1), []*eventpb.SubscribeResponse{started(9), written(8), gap(3, 5)}, from(9)},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.Account, c.r.Target = "acme", "*.node"
			c.want.Account, c.want.Target = "acme", "*.node"
			s := &script{steps: []step{{c.send, codes.Unavailable}, {[]*eventpb.SubscribeResponse{started(100)}, codes.Internal}}}
			errEnough := errors.New("enough")
			starts := 0
			err := client(t, subscribe.Options{Addr: play(t, s), Token: "secret"}).Follow(t.Context(), c.r, func(u subscribe.Update) error {
				if u.Started != nil {
					starts++
				}
				if starts == 2 {
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, errEnough) {
				t.Fatalf("Follow: %v", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if diff := cmp.Diff([]*eventpb.SubscribeRequest{c.r, c.want}, s.asked, protocmp.Transform()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"Bearer secret", "Bearer secret"}, s.tokens); diff != "" {
				t.Errorf("authorization (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdatesTellTheStory(t *testing.T) {
	s := &script{steps: []step{
		{[]*eventpb.SubscribeResponse{started(5), written(5), gap(6, 7)}, codes.Unavailable},
		{nil, codes.ResourceExhausted},
		{[]*eventpb.SubscribeResponse{started(9), written(8)}, codes.OutOfRange},
	}}
	var got []string
	err := client(t, subscribe.Options{Addr: play(t, s)}).Follow(t.Context(), &eventpb.SubscribeRequest{}, func(u subscribe.Update) error {
		switch {
		case u.Started != nil:
			got = append(got, "started")
		case u.Event != nil:
			got = append(got, "event")
		case u.Gap != nil:
			got = append(got, "gap")
		case u.Lost != nil:
			got = append(got, "lost "+status.Code(u.Lost.Err).String())
			if u.Lost.Retry <= 0 {
				t.Errorf("the next attempt is in %s", u.Lost.Retry)
			}
		}
		return nil
	})
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("Follow ends with %v, want OutOfRange", err)
	}
	want := []string{"started", "event", "gap", "lost Unavailable", "lost ResourceExhausted", "started", "event"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
}

func TestFirstErrorEnds(t *testing.T) {
	for _, code := range []codes.Code{codes.ResourceExhausted, codes.Unauthenticated, codes.InvalidArgument} {
		s := &script{steps: []step{{nil, code}}}
		err := client(t, subscribe.Options{Addr: play(t, s)}).Follow(t.Context(), nil, fail(t))
		if status.Code(err) != code || errors.Is(err, subscribe.ErrUnreachable) || !strings.HasSuffix(err.Error(), ": the step ends") {
			t.Errorf("%v: got %v", code, err)
		}
	}
	addr := freeaddr.One(t)
	err := client(t, subscribe.Options{Addr: addr}).Follow(t.Context(), nil, fail(t))
	if !errors.Is(err, subscribe.ErrUnreachable) || !strings.Contains(err.Error(), addr) {
		t.Errorf("where nothing listens: %v", err)
	}
}

func fail(t *testing.T) func(subscribe.Update) error {
	return func(u subscribe.Update) error {
		t.Errorf("unexpected %+v", u)
		return nil
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{steps: []step{{[]*eventpb.SubscribeResponse{started(1)}, codes.Unavailable}}}
	err := client(t, subscribe.Options{Addr: play(t, s)}).Follow(ctx, nil, func(u subscribe.Update) error {
		if u.Lost != nil {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []subscribe.Options{
		{}, {Addr: "localhost"}, {Addr: "localhost:"}, {Addr: "h:1", MinBackoff: -1}, {Addr: "h:1", MinBackoff: 2, MaxBackoff: 1},
	} {
		if _, err := subscribe.New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// The notifier goes away and comes back at the same address: every event comes once, in order.
func TestFollowsOverRestarts(t *testing.T) {
	b := bustest.Open(t)
	addr, stop := run(t, b, freeaddr.One(t))
	want := make([]uint64, 0, 9)
	write := func() {
		for range 3 {
			want = append(want, appendEvent(t, b))
		}
	}
	var got []uint64
	errEnough := errors.New("enough")
	first := true
	err := client(t, subscribe.Options{Addr: addr}).Follow(t.Context(), nil, func(u subscribe.Update) error {
		switch {
		case u.Started != nil && first:
			first = false
			write() // arrives
			write() // arrives, or is what the next subscription begins with
		case u.Lost != nil && len(want) == 6:
			write() // while nobody listens
			_, stop = run(t, b, addr)
		case u.Event != nil:
			got = append(got, u.Event.GetSequence())
			if len(got) == 3 {
				stop()
			}
		}
		if len(got) == 9 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("Follow: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// run serves a notifier and returns how to stop it.
func run(t *testing.T, b *bus.Bus, addr string) (string, func()) {
	t.Helper()
	n, err := notifier.New(notifier.Options{Addr: addr, Log: b})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("notifier: %v", err)
		}
	})
	t.Cleanup(stop)
	return n.Addr().String(), stop
}

func appendEvent(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	target := scrape.Target{Account: "acme", Name: "h:1.j"}
	data, err := event.Marshal(&eventpb.ScrapeWritten{Account: target.Account, Target: target.Name})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Append(t.Context(), event.Events, bus.Message{
		Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}
