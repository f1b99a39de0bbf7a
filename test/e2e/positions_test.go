package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/harness"
)

// TestRetentionWaits has a named position hold back files of a target until it has acknowledged their
// events, and another one that never does, until nobody is to be waited for.
func TestRetentionWaits(t *testing.T) {
	old := []string{
		"--account", account + ":" + token, "--collect-self=false", "--retention.age", "1s", "--retention.grace", "0s", "--retention.interval", "50ms",
	}
	z, err := harness.StartZstats(t.Context(), zstatsBinary, t.TempDir(), old...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Kill() })
	const n = 4
	names := []string{"fast:1.j", "slow:1.j", "away:1.j"}
	for _, name := range names[1:] {
		position(t, z, name)
	}
	w := wire{t, z.IngestAddr, checker.NewBook()}
	for _, name := range names {
		some := newWireTarget(name, 1).scrapes(n)
		w.want("ship", w.send(some, smallests(some)), zeros(n))
	}
	left := func(want ...int) func() error {
		return func() error {
			for i, name := range names {
				if got := len(listTarget(t, z, name)); got != want[i] {
					return fmt.Errorf("%d scrapes of %s are left, want %d", got, name, want[i])
				}
			}
			return nil
		}
	}
	again := func(more ...string) {
		if err := z.Stop(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := z.Restart(t.Context(), zstatsBinary, append(old, more...)...); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "what nobody waits for is removed", left(1, n, n))
	again()
	slow := position(t, z, names[1])
	for range n {
		if err := left(1, n, n)(); err != nil {
			t.Errorf("before all is acknowledged: %v", err)
		}
		m, err := slow.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "what is acknowledged is removed", left(1, 1, n))
	again("--retention.ignore-positions")
	waitFor(t, "nobody is waited for", left(1, 1, 1))
	if err := z.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
}

// position returns a named position on the events of a target, which is made if it is missing.
func position(t *testing.T, z *harness.Zstats, name string) jetstream.Consumer {
	t.Helper()
	url, err := z.LogURL()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	target := scrape.Target{Account: account, Name: name}
	consumer, err := js.CreateOrUpdateConsumer(t.Context(), event.Events, jetstream.ConsumerConfig{
		Durable: name[:4], AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: event.EventSubject(target, event.DefaultPartitions),
	})
	if err != nil {
		t.Fatal(err)
	}
	return consumer
}
