package notifier

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// running is a notifier at work.
type running struct {
	*Notifier
	stop func() // ends Run and waits
}

// quick is a pace for tests.
func quick() pace {
	return pace{
		watch: 10 * time.Millisecond, verify: 5 * time.Millisecond, idle: 20 * time.Millisecond, grace: 200 * time.Millisecond,
		keep: 10 * time.Millisecond, positions: 10 * time.Millisecond, lookAgain: 10 * time.Millisecond,
	}
}

// serve runs a notifier at a quick pace.
func serve(t testing.TB, o Options) running {
	t.Helper()
	return serveAt(t, quick(), o)
}

// serveAt runs a notifier until the test ends or its stop is called.
func serveAt(t testing.TB, p pace, o Options) running {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = quiet(t)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.pace = p
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return running{n, stop}
}

// dial connects a client.
func dial(t testing.TB, n running, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)
	c, err := grpc.NewClient(n.Addr().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type stream = grpc.ServerStreamingClient[eventpb.SubscribeResponse]

// subscribe opens a subscription and waits until it is in place.
func subscribe(t testing.TB, c *grpc.ClientConn, r *eventpb.SubscribeRequest) (stream, *eventpb.Started) {
	t.Helper()
	s, err := eventpb.NewNotifierClient(c).Subscribe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	first := receive(t, s)
	if first.GetStarted() == nil {
		t.Fatalf("first message is %v, want Started", first)
	}
	return s, first.GetStarted()
}

func receive(t testing.TB, s stream) *eventpb.SubscribeResponse {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// nextEvent returns the next event; Progress may lie in front of it.
func nextEvent(t testing.TB, s stream) *eventpb.ScrapeWritten {
	t.Helper()
	for {
		m := receive(t, s)
		if m.GetProgress() != nil {
			continue
		}
		if m.GetScrapeWritten() == nil {
			t.Fatalf("got %v, want an event", m)
		}
		return m.GetScrapeWritten()
	}
}

// sequences returns the sequences of the next n events.
func sequences(t testing.TB, s stream, n int) []uint64 {
	t.Helper()
	out := make([]uint64, n)
	for i := range out {
		out[i] = nextEvent(t, s).GetSequence()
	}
	return out
}

// upTo returns the sequences of the events up to last, which is the last that was written.
func upTo(s stream, last uint64) (got []uint64, err error) {
	for done := uint64(0); done < last; {
		m, err := s.Recv()
		if err != nil {
			return got, err
		}
		if e := m.GetScrapeWritten(); e != nil {
			got, done = append(got, e.GetSequence()), e.GetSequence()
		}
		if p := m.GetProgress(); p != nil {
			done = max(done, p.GetNextSequence()-1)
		}
	}
	return got, nil
}

func from(sequence uint64) *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{FromSequence: sequence}}
}

func since(t time.Time) *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: t.UnixMicro()}}
}

// written returns the message that the writer publishes for a scrape.
func written(t testing.TB, target scrape.Target, epoch int64) bus.Message {
	t.Helper()
	path := fmt.Sprintf("%s/%s/%d/%d", target.Account, target.Name, epoch, epoch)
	data, err := event.Marshal(&eventpb.ScrapeWritten{
		Account: target.Account, Source: target.Source, Target: target.Name, InstanceId: target.Name, Type: "prometheus",
		DataPath: path + ".data.gz", MetadataPath: path + ".json",
		DefaultTimestampMs: epoch / 1000, EpochUs: epoch, Generation: epoch, Samples: 500, Inferred: 2, Bytes: 4096,
	})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data}
}

// publish writes one event of each target and returns the sequences.
func publish(t testing.TB, b *bus.Bus, targets ...scrape.Target) []uint64 {
	t.Helper()
	messages := make([]bus.Message, len(targets))
	for i, target := range targets {
		messages[i] = written(t, target, int64(i+1))
	}
	return appendAll(t, b, messages...)
}

func appendAll(t testing.TB, b *bus.Bus, messages ...bus.Message) []uint64 {
	t.Helper()
	out, err := b.Append(t.Context(), event.Events, messages...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkpoint is what the writer also stores in EVENTS.
func checkpoint(p int) bus.Message {
	return bus.Message{Subject: event.CheckpointSubject(event.StageWriter, p), Data: []byte("checkpoint")}
}

func target(account, name string) scrape.Target { return scrape.Target{Account: account, Name: name} }

func repeat(t scrape.Target, n int) []scrape.Target {
	out := make([]scrape.Target, n)
	for i := range out {
		out[i] = t
	}
	return out
}

// until waits for something that other goroutines bring about.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	eventually.Succeeds(t, what, func() error {
		if !is() {
			return errors.New("not yet")
		}
		return nil
	})
}

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.DPanicLevel))
}

// place returns when the first event was stored.
func place(t testing.TB, b *bus.Bus) time.Time {
	t.Helper()
	p, err := b.Find(t.Context(), event.Events, ">", 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.Stored
}
