package push

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a pace for tests.
func quick() pace {
	return pace{
		keep: 10 * time.Millisecond, leastPause: 5 * time.Millisecond, mostPause: 20 * time.Millisecond,
		leastAgain: 5 * time.Millisecond, mostAgain: 20 * time.Millisecond, reopen: 5 * time.Millisecond, grace: time.Minute,
	}
}

// running is a pusher at work.
type running struct {
	*Pusher
	stop func() // ends Run and waits
}

// start runs a pusher to a service until the test ends or its stop is called.
func start(t testing.TB, log Log, addr string, change ...func(*Pusher)) running {
	t.Helper()
	return startWith(t, Options{Addr: addr, Log: log}, change...)
}

// startWith runs a pusher with options that say where to call.
func startWith(t testing.TB, o Options, change ...func(*Pusher)) running {
	t.Helper()
	o.Root, o.Timeout, o.Concurrency, o.Registerer = "/srv/stats", time.Minute, 100, prometheus.NewRegistry()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	p.pace = quick()
	for _, c := range change {
		c(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
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
	return running{p, stop}
}

// openLog returns a log with the position, which is to begin with its first event.
func openLog(t testing.TB) *bus.Bus {
	t.Helper()
	b := bustest.Open(t)
	openPosition(t, b)
	return b
}

func openPosition(t testing.TB, b *bus.Bus) *bus.Position {
	t.Helper()
	p, err := OpenPosition(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dataPath is the path of an event's data file.
func dataPath(target scrape.Target, epoch int) string {
	return fmt.Sprintf("%s/%s/%d/%d.data.gz", target.Account, target.Name, epoch, epoch)
}

// written returns the message that the writer publishes for a scrape.
func written(t testing.TB, target scrape.Target, epoch int) bus.Message {
	t.Helper()
	data, err := event.Marshal(&eventpb.ScrapeWritten{
		Account: target.Account, Source: target.Source, Target: target.Name, InstanceId: target.Name, Type: "prometheus",
		DataPath: dataPath(target, epoch), MetadataPath: fmt.Sprintf("%s/%s/%d/%d.json", target.Account, target.Name, epoch, epoch),
		DefaultTimestampMs: 1000 + int64(epoch), EpochUs: int64(epoch), Samples: 500, Bytes: 4096,
	})
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data}
}

// publish writes the events of a target's epochs from first to last.
func publish(t testing.TB, b *bus.Bus, target scrape.Target, first, last int) {
	t.Helper()
	var messages []bus.Message
	for epoch := first; epoch <= last; epoch++ {
		messages = append(messages, written(t, target, epoch))
	}
	if _, err := b.Append(t.Context(), event.Events, messages...); err != nil {
		t.Fatal(err)
	}
}

// position returns the state of the position.
func position(t testing.TB, b *bus.Bus) bus.PositionState {
	t.Helper()
	all, err := b.Positions(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != PositionName {
		t.Fatalf("positions %+v, %v", all, err)
	}
	return all[0]
}

// untilDone waits until everything is acknowledged.
func untilDone(t testing.TB, b *bus.Bus) {
	t.Helper()
	eventually.Succeeds(t, "all is acknowledged", func() error {
		_, last, err := b.Bounds(t.Context(), event.Events)
		if p := position(t, b); err == nil && p.Acked < last {
			err = fmt.Errorf("%d of %d are", p.Acked, last)
		}
		return err
	})
}

// untilTaken waits until the service has taken n files.
func untilTaken(t testing.TB, d *downstream, n int) {
	t.Helper()
	eventually.Succeeds(t, "files are taken", func() error {
		if taken, calls := d.has(); taken != n {
			return fmt.Errorf("%d of %d are taken, in %d calls", taken, n, calls)
		}
		return nil
	})
}
