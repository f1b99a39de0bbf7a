package retention

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

func newLog(t *testing.T) (*bus.Bus, jetstream.JetStream) {
	t.Helper()
	s := bustest.Serve(t, bus.ServerOptions{Token: "positions-token"})
	b := bustest.Connect(t, s, event.Limits{})
	conn, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return b, js
}

func notify(t *testing.T, b *bus.Bus, target scrape.Target, age time.Duration) {
	t.Helper()
	data, err := event.Marshal(&eventpb.ScrapeWritten{Account: target.Account, Target: target.Name, EpochUs: ago(age)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Append(t.Context(), event.Events, bus.Message{
		Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPositionsInTheLog has a consumer with a name acknowledge events one by one, in a real log.
func TestPositionsInTheLog(t *testing.T) {
	b, js := newLog(t)
	dir := t.TempDir()
	acme, other := target("acme", "a:1.j"), target("other", "a:1.j")
	consumer, err := js.CreateConsumer(t.Context(), event.Events, jetstream.ConsumerConfig{
		Durable: "billing", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: event.EventFilter("acme"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{6 * h, 5 * h, h} {
		for _, tg := range []scrape.Target{acme, other} {
			put(t, dir, tg, age)
			notify(t, b, tg, age)
		}
	}
	r := newRetention(t, Options{Dir: dir, Limits: Limits{Age: 2 * h}, Positions: PositionsOf(b, bustest.Partitions)})
	for _, step := range []struct {
		what string
		want []string
	}{
		{"nothing is acknowledged", []string{"acme/a_1.j 6h0m0s", "acme/a_1.j 5h0m0s", "acme/a_1.j 1h0m0s", "other/a_1.j 1h0m0s"}},
		{"one is", []string{"acme/a_1.j 5h0m0s", "acme/a_1.j 1h0m0s", "other/a_1.j 1h0m0s"}},
		{"two are", []string{"acme/a_1.j 1h0m0s", "other/a_1.j 1h0m0s"}},
	} {
		turn(t, r)
		t.Log(step.what)
		wantLeft(t, dir, step.want...)
		m, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAckedInTheLog asks for scrapes whose events have not come yet, come late, or are all acknowledged.
func TestAckedInTheLog(t *testing.T) {
	b, js := newLog(t)
	acme := target("acme", "a:1.j")
	consumer, err := js.CreateConsumer(t.Context(), event.Events, jetstream.ConsumerConfig{
		Durable: "billing", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: event.EventFilter("acme"),
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, of scrape.Target, age, onDisk time.Duration, want bool) {
		t.Helper()
		look, err := PositionsOf(b, bustest.Partitions)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		acked, err := look(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		if got := acked(ago(age), time.Now().Add(-onDisk)); got != want {
			t.Errorf("%s: a scrape of %s ago, on disk for %s: acknowledged is %v, want %v", what, age, onDisk, got, want)
		}
	}
	const late, early = time.Second, lag + time.Minute
	check("no event yet", acme, h, late, false)
	check("all events trimmed", acme, h, early, true)
	check("nobody to wait for", target("other", "a:1.j"), h, late, true)
	notify(t, b, acme, 4*h)
	notify(t, b, acme, 3*h)
	for _, step := range []struct {
		what         string
		first, other bool
	}{{"nothing is acknowledged", false, false}, {"one is", true, false}, {"all are", true, true}} {
		check(step.what+", the first", acme, 4*h, early, step.first)
		check(step.what+", the second", acme, 3*h, early, step.other)
		check(step.what+", an event to come", acme, 2*h, late, false)
		if !step.other {
			check(step.what+", a requeued one", acme, 5*h, late, false)
			m, err := consumer.Next()
			if err != nil {
				t.Fatal(err)
			}
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	check("acknowledged just now", acme, 3*h, late, true)
	notify(t, b, acme, 5*h) // requeued
	m, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("behind a requeued one", acme, 3*h, early, true)
}
