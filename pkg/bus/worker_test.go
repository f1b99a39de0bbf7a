package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

// start runs run until the returned function is called, which waits for its end.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// counter is a processor whose output depends on everything before: it numbers a target's messages. Its state starts from
// the last output in the stream.
type counter struct {
	bus    *Bus
	counts map[string]int
	before func(batch []Delivery) error // called before a batch, may fail or block
	most   int                          // deliveries to handle at a time, 0 for all
}

func (c *counter) Open(p int) {
	// A target's partition is not needed here: what is forgotten too much is read again.
	clear(c.counts)
}

func (c *counter) Process(ctx context.Context, batch []Delivery) ([]Output, error) {
	if c.before != nil {
		if err := c.before(batch); err != nil {
			return nil, err
		}
	}
	var out []Output
	for i, d := range batch {
		if i > 0 && i == c.most {
			return out, fmt.Errorf("a pause: %w", &Partial{Done: i})
		}
		target, err := d.Header.Target()
		if err != nil {
			return nil, err
		}
		subject := event.ScrapeSubject(target, testPartitions)
		if _, ok := c.counts[target.Name]; !ok {
			m, err := c.bus.Last(ctx, event.Scrapes, subject)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			if err == nil {
				c.counts[target.Name], _ = strconv.Atoi(m.Header["Count"])
			}
		}
		c.counts[target.Name]++
		h := event.TargetHeader(target)
		h["Count"] = strconv.Itoa(c.counts[target.Name])
		h["From"] = strconv.FormatUint(d.Sequence, 10)
		out = append(out, Output{Input: i, Message: Message{Subject: subject, Header: h}})
	}
	return out, nil
}

func counterStage() Stage {
	return Stage{Name: event.StageAssembler, Input: event.Raw, Output: event.Scrapes, Subject: event.RawPartition, Partition: event.Partition}
}

func newCounter(t *testing.T, b *Bus, id string, before func([]Delivery) error) *Worker {
	t.Helper()
	w, err := NewWorker(WorkerOptions{
		Bus: b, Stage: counterStage(), Partitions: testPartitions, ID: id,
		Processor: &counter{bus: b, counts: make(map[string]int), before: before},
		Linger:    time.Millisecond, TTL: 3 * time.Second, Logger: quiet(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// feed appends n messages of each of 20 targets, interleaved.
func feed(t *testing.T, b *Bus, n int) {
	t.Helper()
	for range n {
		var msgs []Message
		for i := range 20 {
			msgs = append(msgs, rawMessage(fmt.Sprintf("target-%d", i), []byte("x")))
		}
		if _, err := b.Append(t.Context(), event.Raw, msgs...); err != nil {
			t.Fatal(err)
		}
	}
}

// checkCounts waits until n messages of each target are counted and verifies that each was counted once and in order.
func checkCounts(t *testing.T, b *Bus, n int) {
	t.Helper()
	r, err := b.Read(t.Context(), ReadOptions{Stream: event.Scrapes, Subjects: []string{"zs.scrape.>"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	got := make(map[string][]string)
	last := make(map[string]uint64)
	for range 20 * n {
		m, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		name := m.Header[event.HeaderTarget]
		got[name] = append(got[name], m.Header["Count"])
		from, _ := strconv.ParseUint(m.Header["From"], 10, 64)
		if from <= last[name] {
			t.Errorf("%s: input %d came after %d", name, from, last[name])
		}
		last[name] = from
	}
	want := make([]string, n)
	for i := range want {
		want[i] = strconv.Itoa(i + 1)
	}
	for name, counts := range got {
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	noMore(t, b, n)
}

// noMore verifies that exactly n outputs of each target are stored.
func noMore(t *testing.T, b *Bus, n int) {
	t.Helper()
	for i := range 20 {
		target := scrape.Target{Account: "acme", Name: fmt.Sprintf("target-%d", i)}
		var m Message
		// In a cluster a reader may be served by a replica that is ahead of the leader for a moment.
		eventually.Succeeds(t, "the leader has applied the last one", func() (err error) {
			m, err = b.Last(t.Context(), event.Scrapes, event.ScrapeSubject(target, testPartitions))
			if err == nil && m.Header["Count"] < strconv.Itoa(n) && len(m.Header["Count"]) <= len(strconv.Itoa(n)) {
				err = errNotYet
			}
			return err
		})
		if m.Header["Count"] != strconv.Itoa(n) {
			t.Errorf("%s was counted to %s, want %d", target, m.Header["Count"], n)
		}
	}
}

func TestWorkerCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		feed(t, b, 5)
		w := newCounter(t, b, "one", nil)
		stop := start(t, w.Run)
		checkCounts(t, b, 5)
		eventually.Succeeds(t, "ready", w.Ready)
		feed(t, b, 5)
		checkCounts(t, b, 10)
		stop()

		// Another one goes on where the first stopped.
		feed(t, b, 3)
		start(t, newCounter(t, b, "two", nil).Run)
		checkCounts(t, b, 13)
	})
}

// TestLostInput has the input stream removed behind a worker's back, and made anew. What comes then has sequences that are done
// already; it is not taken for done, before the stream has got as far as it was and after.
func TestLostInput(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		stop := start(t, newCounter(t, b, "one", nil).Run)
		feed(t, b, 3)
		checkCounts(t, b, 3)
		stop()
		if err := b.js.DeleteStream(t.Context(), event.Raw); err != nil {
			t.Fatal(err)
		}
		ensure(t, b)
		w := newCounter(t, b, "one", nil)
		start(t, w.Run)
		for _, n := range []int{1, 9} {
			feed(t, b, n)
			before := testutil.ToFloat64(w.metrics.failures.WithLabelValues("take"))
			eventually.Succeeds(t, "the worker refuses", func() error {
				if err := w.Ready(); !errors.Is(err, errLostInput) {
					return fmt.Errorf("ready: %w", err)
				}
				if testutil.ToFloat64(w.metrics.failures.WithLabelValues("take")) < before+2 {
					return errNotYet
				}
				return nil
			})
			noMore(t, b, 3)
		}
	})
}

func TestWorkerRetriesAfterErrorsAndPanics(t *testing.T) {
	b := oneNode(t)
	var calls atomic.Int32
	w := newCounter(t, b, "one", func(batch []Delivery) error {
		switch calls.Add(1) {
		case 1, 3:
			return errors.New("planted")
		case 4:
			panic("planted")
		}
		return nil
	})
	feed(t, b, 3)
	start(t, w.Run)
	feed(t, b, 4)
	checkCounts(t, b, 7)
}

// TestPartialBatches: a processor may handle a batch piece by piece, and each piece is a step of its own.
func TestPartialBatches(t *testing.T) {
	b := oneNode(t)
	feed(t, b, 9)
	for i, c := range []*counter{{most: 1}, {most: 3}} {
		c.bus, c.counts = b, make(map[string]int)
		w, err := NewWorker(WorkerOptions{
			Bus: b, Stage: counterStage(), Partitions: testPartitions, Processor: c, ID: strconv.Itoa(i), MaxBatch: 20, Logger: quiet(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, w.Run)
		checkCounts(t, b, 9+i)
		stop()
		feed(t, b, 1)
	}
}

// TestPausedWorkerCommitsNothing stops a worker in the middle of a batch, as SIGSTOP would, lets another one take over and
// finish, and wakes the first one: what it then tries to commit must not appear.
func TestPausedWorkerCommitsNothing(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		paused, resume := make(chan struct{}), make(chan struct{})
		var once sync.Once
		zombie := newCounter(t, b, "zombie", func([]Delivery) error {
			once.Do(func() { close(paused); <-resume })
			return nil
		})
		feed(t, b, 4)
		stopZombie := start(t, zombie.Run)
		<-paused

		heir := newCounter(t, b, "heir", nil)
		// The heir sees a zombie that still announces itself, waits for the hand-over time and takes its share all the same.
		start(t, heir.Run)
		eventually.Succeeds(t, "heir works", func() error { return heir.Ready() })
		close(resume)
		eventually.Succeeds(t, "the zombie is refused", func() error {
			if testutil.ToFloat64(zombie.metrics.failures.WithLabelValues("fenced")) == 0 {
				return errors.New("not fenced")
			}
			return nil
		})
		stopZombie()
		checkCounts(t, b, 4)
		feed(t, b, 2)
		checkCounts(t, b, 6)
	})
}

func TestWorkersShareAndHandOver(t *testing.T) {
	b := oneNode(t)
	stopFeeding := make(chan struct{})
	var fed atomic.Int32
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for {
			select {
			case <-stopFeeding:
				return
			default:
				feed(t, b, 1)
				fed.Add(1)
			}
		}
	})
	one := newCounter(t, b, "one", nil)
	stopOne := start(t, one.Run)
	eventually.Succeeds(t, "one works", one.Ready)
	two := newCounter(t, b, "two", nil)
	stopTwo := start(t, two.Run)
	three := newCounter(t, b, "three", nil)
	start(t, three.Run)
	eventually.Succeeds(t, "two works", two.Ready)
	eventually.Succeeds(t, "three works", three.Ready)
	stopOne()
	eventually.Succeeds(t, "three works again", three.Ready)
	stopTwo()
	close(stopFeeding)
	feeding.Wait()
	checkCounts(t, b, int(fed.Load()))
}

func TestAssignIsEvenAndComplete(t *testing.T) {
	for _, n := range []int{1, 7, 64} {
		var workers []string
		for count := 1; count <= 70; count++ {
			workers = append(workers, "worker-"+strconv.Itoa(count))
			seen := make([]int, n)
			least, most := n, 0
			for _, w := range workers {
				own := assign(n, workers, w)
				least, most = min(least, len(own)), max(most, len(own))
				for _, p := range own {
					seen[p]++
				}
			}
			if most-least > 1 {
				t.Fatalf("%d partitions over %d workers: between %d and %d each", n, count, least, most)
			}
			if slices.Max(seen) != 1 || slices.Min(seen) != 1 {
				t.Fatalf("%d partitions over %d workers: owners of each: %v", n, count, seen)
			}
		}
	}
}

func TestAssignMovesFewPartitions(t *testing.T) {
	workers := []string{"a", "b", "c", "d"}
	moved := 0
	for _, w := range workers[:3] {
		before := assign(64, workers[:3], w)
		for _, p := range assign(64, workers, w) {
			if !slices.Contains(before, p) {
				moved++
			}
		}
	}
	// A fourth worker takes 16; a few more move to keep the numbers even.
	if moved > 12 {
		t.Errorf("%d partitions moved between the three workers that stayed", moved)
	}
}

// TestMoreWorkersThanPartitions: a worker that has nothing to do is ready, and takes over when it is needed.
func TestMoreWorkersThanPartitions(t *testing.T) {
	b := oneNode(t)
	newWorker := func(id string) *Worker {
		w := newCounter(t, b, id, nil)
		w.o.Partitions = 1 // of those that there are
		return w
	}
	one, two := newWorker("one"), newWorker("two")
	stopOne, stopTwo := start(t, one.Run), start(t, two.Run)
	eventually.Succeeds(t, "one is ready", one.Ready)
	eventually.Succeeds(t, "two is ready", two.Ready)
	stopOne()
	stopTwo()
}
