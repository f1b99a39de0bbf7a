package notifier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

func TestNewRefuses(t *testing.T) {
	b := bustest.Open(t)
	none, err := account.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Addr: "9906", Log: b}, `address "9906": want HOST:PORT`},
		{Options{Addr: "127.0.0.1:0"}, "no Log"},
		{Options{Addr: "127.0.0.1:0", Log: b, Tokens: none}, "no tokens"},
		{Options{Addr: "127.0.0.1:0", Log: b, CertFile: "c.pem"}, "a certificate file and a key file belong together"},
		{Options{Addr: "127.0.0.1:0", Log: b, CertFile: "c.pem", KeyFile: "k.pem"}, "certificate c.pem with key k.pem"},
		{Options{Addr: "127.0.0.1:0", Log: b, MaxSubscribers: -1}, "MaxSubscribers is -1"},
		{Options{Addr: taken.Addr().String(), Log: b}, "listen tcp"},
	} {
		if _, err := New(c.o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.o, err, c.want)
		}
	}
}

func TestHealth(t *testing.T) {
	b := bustest.Open(t)
	n := serve(t, Options{Log: b})
	client := healthpb.NewHealthClient(dial(t, n))
	for _, service := range []string{"", "zstats.v1.Notifier"} {
		got, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("service %q: %v, %v, want SERVING", service, got, err)
		}
	}
	if err := n.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantHealth(t, watch, healthpb.HealthCheckResponse_SERVING)
	b.Close()
	wantHealth(t, watch, healthpb.HealthCheckResponse_NOT_SERVING)
	if err := n.Ready(); err == nil {
		t.Error("Ready without a log")
	}
	n.stop()
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("at the end the watch gets %v, want Unavailable", err)
	}
	if err := n.Ready(); err == nil || err.Error() != "notifier has stopped" {
		t.Errorf("Ready at the end: %v", err)
	}
}

func wantHealth(t *testing.T, watch grpc.ServerStreamingClient[healthpb.HealthCheckResponse], want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	got, err := watch.Recv()
	if err != nil || got.GetStatus() != want {
		t.Fatalf("health is %v, %v, want %v", got, err, want)
	}
}

func TestReflection(t *testing.T) {
	client := reflectionpb.NewServerReflectionClient(dial(t, serve(t, Options{Log: bustest.Open(t)})))
	ask, err := client.ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, ask, &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	var services []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		services = append(services, s.GetName())
	}
	for _, want := range []string{"zstats.v1.Notifier", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} {
		if !slices.Contains(services, want) {
			t.Errorf("services %q lack %s", services, want)
		}
	}
	answer = exchange(t, ask, &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "zstats.v1.Notifier.Subscribe",
	}})
	files := answer.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(files) == 0 {
		t.Fatalf("no file describes the method: %v", answer)
	}
	file := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(files[0], file); err != nil {
		t.Fatal(err)
	}
	m := file.GetService()[0].GetMethod()[0]
	if m.GetName() != "Subscribe" || m.GetInputType() != ".zstats.v1.SubscribeRequest" || !m.GetServerStreaming() {
		t.Errorf("described as %v", m)
	}
	if err := ask.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func exchange(
	t *testing.T, ask grpc.BidiStreamingClient[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse],
	r *reflectionpb.ServerReflectionRequest,
) *reflectionpb.ServerReflectionResponse {
	t.Helper()
	if err := ask.Send(r); err != nil {
		t.Fatal(err)
	}
	answer, err := ask.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestTokens(t *testing.T) {
	b := bustest.Open(t)
	tokens, err := account.Parse([]string{"acme:secret", "acme@eu1:local", "other:word"})
	if err != nil {
		t.Fatal(err)
	}
	n := serve(t, Options{Log: b, Tokens: tokens})
	c := dial(t, n)
	eu := target("acme", "eu.j")
	eu.Source = "eu1"
	publish(t, b, target("acme", "a.j"), eu, target("other", "o.j")) // 1, 2, 3
	const hint = `: send the metadata "authorization: Bearer <token>" with a token of the account`
	for _, c2 := range []struct {
		authorization, account string
		want                   []uint64
		code                   codes.Code
		text                   string
	}{
		{"Bearer secret", "", []uint64{1, 2}, codes.OK, ""},
		{"bearer secret", "acme", []uint64{1, 2}, codes.OK, ""},
		{"Bearer local", "", []uint64{2}, codes.OK, ""},
		{"Bearer word", "other", []uint64{3}, codes.OK, ""},
		{"Bearer secret", "other", nil, codes.PermissionDenied, `the token is not one of account "other"`},
		{"Bearer wrong", "", nil, codes.Unauthenticated, "the token is unknown" + hint},
		{"Bearer ", "", nil, codes.Unauthenticated, "the authorization is no bearer token" + hint},
		{"Basic secret", "", nil, codes.Unauthenticated, "the authorization is no bearer token" + hint},
		{"secret", "", nil, codes.Unauthenticated, "the authorization is no bearer token" + hint},
		{"", "", nil, codes.Unauthenticated, "a token is required" + hint},
	} {
		ctx := t.Context()
		if c2.authorization != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", c2.authorization)
		}
		r := from(1)
		r.Account = c2.account
		s, err := eventpb.NewNotifierClient(c).Subscribe(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := upTo(s, 3)
		if s := status.Convert(err); s.Code() != c2.code || s.Message() != c2.text {
			t.Errorf("%q, account %q: got %v, want %v %q", c2.authorization, c2.account, err, c2.code, c2.text)
		}
		if diff := cmp.Diff(c2.want, got); diff != "" {
			t.Errorf("%q, account %q (-want +got):\n%s", c2.authorization, c2.account, diff)
		}
	}
	if got, err := healthpb.NewHealthClient(c).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health without a token: %v, %v", got, err)
	}
}

func TestSubscriberLimit(t *testing.T) {
	n := serve(t, Options{Log: bustest.Open(t), MaxSubscribers: 2})
	ctx, leave := context.WithCancel(t.Context())
	c := dial(t, n)
	first, err := eventpb.NewNotifierClient(c).Subscribe(ctx, &eventpb.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, first)
	subscribe(t, dial(t, n), &eventpb.SubscribeRequest{})
	s, err := eventpb.NewNotifierClient(c).Subscribe(t.Context(), &eventpb.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	if got := status.Convert(err); got.Code() != codes.ResourceExhausted || got.Message() != "there are 2 subscribers already, as many as may be: try again later" {
		t.Errorf("the third gets %v", err)
	}
	leave()
	until(t, "the first has left", func() bool { return n.subs.count() == 1 })
	subscribe(t, c, &eventpb.SubscribeRequest{})
}

func TestMetrics(t *testing.T) {
	b := bustest.Open(t)
	r := prometheus.NewRegistry()
	n := serve(t, Options{Log: b, Registerer: r})
	ctx, leave := context.WithCancel(t.Context())
	s, err := eventpb.NewNotifierClient(dial(t, n)).Subscribe(ctx, &eventpb.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, s)
	publish(t, b, target("acme", "a.j"), target("acme", "b.j"))
	bytes := 0
	for range 2 {
		bytes += proto.Size(receive(t, s))
	}
	until(t, "both are counted", func() bool { return testutil.ToFloat64(n.metrics.events) == 2 })
	compare := func(open, canceled int) {
		t.Helper()
		want := fmt.Sprintf(`
# HELP zstats_notifier_bytes_total Bytes of the messages sent to subscribers, before compression and framing.
# TYPE zstats_notifier_bytes_total counter
zstats_notifier_bytes_total %d
# HELP zstats_notifier_events_total Events sent to subscribers.
# TYPE zstats_notifier_events_total counter
zstats_notifier_events_total 2
# HELP zstats_notifier_gaps_total Gaps reported to consumers: events may have been removed before they were sent.
# TYPE zstats_notifier_gaps_total counter
zstats_notifier_gaps_total 0
# HELP zstats_notifier_lag_sequences Sequences by which the slowest subscriber is behind the end of EVENTS.
# TYPE zstats_notifier_lag_sequences gauge
zstats_notifier_lag_sequences 0
# HELP zstats_notifier_subscribers Streams of subscribers and members of positions that are open.
# TYPE zstats_notifier_subscribers gauge
zstats_notifier_subscribers %d
# HELP zstats_notifier_subscriptions_ended_total Streams of subscribers and members of positions that ended, by gRPC status code; Canceled and OK are consumers that left.
# TYPE zstats_notifier_subscriptions_ended_total counter
zstats_notifier_subscriptions_ended_total{code="Aborted"} 0
zstats_notifier_subscriptions_ended_total{code="Canceled"} %d
zstats_notifier_subscriptions_ended_total{code="DeadlineExceeded"} 0
zstats_notifier_subscriptions_ended_total{code="FailedPrecondition"} 0
zstats_notifier_subscriptions_ended_total{code="Internal"} 0
zstats_notifier_subscriptions_ended_total{code="InvalidArgument"} 0
zstats_notifier_subscriptions_ended_total{code="OK"} 0
zstats_notifier_subscriptions_ended_total{code="OutOfRange"} 0
zstats_notifier_subscriptions_ended_total{code="PermissionDenied"} 0
zstats_notifier_subscriptions_ended_total{code="ResourceExhausted"} 0
zstats_notifier_subscriptions_ended_total{code="Unauthenticated"} 0
zstats_notifier_subscriptions_ended_total{code="Unavailable"} 0
# HELP zstats_notifier_undecodable_total Messages of EVENTS that could not be decoded; each is reported to its subscribers as a gap.
# TYPE zstats_notifier_undecodable_total counter
zstats_notifier_undecodable_total 0
`, bytes, open, canceled)
		if err := testutil.GatherAndCompare(r, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	until(t, "the lag is back to 0", func() bool { return testutil.ToFloat64(n.metrics.lag) == 0 })
	compare(1, 0)
	leave()
	until(t, "the end is counted", func() bool { return testutil.ToFloat64(n.metrics.ends.WithLabelValues("Canceled")) == 1 })
	compare(0, 1)
	if _, err := New(Options{Addr: "127.0.0.1:0", Log: b, Registerer: r}); err == nil {
		t.Error("a second notifier registers the same metrics")
	}
}

// faulty is a log whose lookups go wrong.
type faulty struct {
	*bus.Bus
	find func() error
}

func (f faulty) Find(context.Context, string, string, uint64) (bus.Place, error) {
	return bus.Place{}, f.find()
}

func TestFaultsStayWithinTheCall(t *testing.T) {
	b := bustest.Open(t)
	publish(t, b, target("acme", "a.j"))
	for _, c := range []struct {
		name string
		find func() error
		code codes.Code
		text string
	}{
		{"panic", func() error { panic("boom") }, codes.Internal, "internal error"},
		{"error", func() error { return errors.New("secret detail") }, codes.Unavailable, "the log can't be read now: connect again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calm := quick()
			calm.idle = time.Hour // no lookup but the one below
			n := serveAt(t, calm, Options{Log: faulty{b, c.find}})
			client := dial(t, n)
			s, err := eventpb.NewNotifierClient(client).Subscribe(t.Context(), since(place(t, b)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Recv()
			if got := status.Convert(err); got.Code() != c.code || got.Message() != c.text {
				t.Errorf("got %v, want %v %q", err, c.code, c.text)
			}
			if got := testutil.ToFloat64(n.metrics.ends.WithLabelValues(c.code.String())); got != 1 {
				t.Errorf("metric counts %v", got)
			}
			other, _ := subscribe(t, client, from(1))
			nextEvent(t, other)
		})
	}
}

// clumsy is a log of which positions can't be removed without a panic.
type clumsy struct{ *bus.Bus }

func (clumsy) RemovePosition(context.Context, bus.PositionKey) error { panic("boom") }

func TestPanicOfAUnaryCall(t *testing.T) {
	c := dial(t, serve(t, Options{Log: clumsy{bustest.Open(t)}}))
	s, _ := consume(t, c, &eventpb.OpenPosition{Name: "p"})
	leave(t, s)
	for range 2 { // the process lives on
		_, err := eventpb.NewNotifierClient(c).RemovePosition(t.Context(), &eventpb.RemovePositionRequest{Name: "p"})
		if status.Code(err) != codes.Internal {
			t.Errorf("got %v, want %s", err, codes.Internal)
		}
	}
}
