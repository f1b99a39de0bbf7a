package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/eventually"
)

// load appends numbered messages for some targets, a target's one after the other, until it is stopped, and knows which were
// acknowledged.
type load struct {
	appender *Appender

	mu    sync.Mutex      // guards acked
	acked map[string]bool // by target and number
}

func (l *load) run(ctx context.Context) error {
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() { l.target(ctx, fmt.Sprintf("target-%d", i)) })
	}
	running.Wait()
	return nil
}

func (l *load) target(ctx context.Context, name string) {
	// The pause keeps the load from filling the disk by itself while the worker is still coming back.
	for n := 0; pause(ctx, 5*time.Millisecond); n++ {
		m := rawMessage(name, randomBytes(3000+n%2000))
		m.Header["Id"] = name + "/" + strconv.Itoa(n)
		if _, err := l.appender.Append(ctx, []Message{m}); err != nil {
			pause(ctx, 20*time.Millisecond)
			continue
		}
		l.mu.Lock()
		l.acked[m.Header["Id"]] = true
		l.mu.Unlock()
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// check verifies that RAW holds what was acknowledged, and that each of its messages was counted once and in order.
func (l *load) check(t *testing.T, b *Bus) {
	t.Helper()
	stored := make(map[string]bool)
	inputs := make(map[uint64]string) // targets by sequence
	scan(t, b, ReadOptions{Stream: event.Raw, Subjects: []string{"zs.raw.>"}}, func(m Message) {
		stored[m.Header["Id"]] = true
		inputs[m.Sequence] = m.Header[event.HeaderTarget]
	})
	for id := range l.acked {
		if !stored[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	eventually.Succeeds(t, "all are counted", func() error {
		n := 0
		scan(t, b, ReadOptions{Stream: event.Scrapes, Subjects: []string{"zs.scrape.>"}}, func(Message) { n++ })
		if n < len(inputs) {
			return fmt.Errorf("%d of %d", n, len(inputs))
		}
		return nil
	})
	counts, last := make(map[string]int), make(map[string]uint64)
	seen := make(map[uint64]bool)
	scan(t, b, ReadOptions{Stream: event.Scrapes, Subjects: []string{"zs.scrape.>"}}, func(m Message) {
		name := m.Header[event.HeaderTarget]
		from, _ := strconv.ParseUint(m.Header["From"], 10, 64)
		counts[name]++
		if inputs[from] != name || from <= last[name] || m.Header["Count"] != strconv.Itoa(counts[name]) {
			t.Errorf("output %d of %s counts input %d as %s, after %d as %d", m.Sequence, name, from, m.Header["Count"], last[name], counts[name]-1)
		}
		seen[from], last[name] = true, from
	})
	if len(seen) != len(inputs) {
		t.Errorf("%d of %d inputs were counted", len(seen), len(inputs))
	}
	t.Logf("%d acknowledged, %d stored, %d counted", len(l.acked), len(inputs), len(seen))
}

func scan(t *testing.T, b *Bus, o ReadOptions, each func(Message)) {
	t.Helper()
	if err := b.Scan(t.Context(), o, func(m Message) error { each(m); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestServerHeals fills the disk to the brim under load, without any reserve, again and again: the server says what is wrong,
// comes back by itself once there is room, and so does all that uses it. What was acknowledged is there, and is done once.
func TestServerHeals(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	disk.Mount(t, dir, 512*mib)
	registry := prometheus.NewRegistry()
	s, err := StartServer(t.Context(), ServerOptions{Dir: dir, Reserve: -1, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b, err := Connect(Options{Server: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ensure(t, b)
	w := newCounter(t, b, "one", nil)
	stopWorker := start(t, w.Run)
	a, stopAppender := startAppender(t, b, 4096)
	l := &load{appender: a, acked: make(map[string]bool)}
	stopLoad := start(t, l.run)
	for round, leave := range []int64{3 * mib, mib + 17, 0, 5*mib + 4321} {
		before := l.count()
		eventually.Succeeds(t, "messages are acknowledged", func() error {
			if l.count() < before+200 {
				return errNotYet
			}
			return b.Ready()
		})
		empty := disk.Fill(t, dir, leave)
		eventually.Succeeds(t, "the server is down", func() error {
			if _, err := s.current(); err == nil {
				return errNotYet
			}
			return nil
		})
		if err := b.Ready(); err == nil {
			t.Error("ready although the server is down")
		}
		eventually.Succeeds(t, "the server says that it waits for room", func() error {
			if err := b.Ready(); !errors.Is(err, ErrNoRoom) {
				return errors.Join(errNotYet, err)
			}
			return nil
		})
		empty()
		eventually.Succeeds(t, "the bus is ready", b.Ready)
		eventually.Succeeds(t, "the worker is ready", w.Ready)
		if n := testutil.ToFloat64(s.restarts); n < float64(round+1) {
			t.Errorf("%v restarts are counted after round %d", n, round)
		}
	}
	before := l.count()
	eventually.Succeeds(t, "messages are acknowledged", func() error {
		if l.count() < before+200 {
			return errNotYet
		}
		return nil
	})
	stopLoad()
	l.check(t, b)
	stopAppender()
	stopWorker()
}
