package ingest

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
)

// wire is the way that answers go back, which a test can cut.
type wire struct {
	*faultyLog
	r *running
}

// startWired runs an ingest whose answers can be lost.
func startWired(t *testing.T, n *node) *wire {
	w := &wire{faultyLog: &faultyLog{}}
	w.r = start(t, n, func(o *Options) {
		w.Appender = o.Raw
		o.Raw = w.faultyLog
	})
	return w
}

// lose sends instances and cuts the connection once the log has them.
func (w *wire) lose(t *testing.T, instances ...zstatsv1.Instance) {
	t.Helper()
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	ended := make(chan struct{})
	w.answered = func() {
		cut()
		<-ended // the collector has seen its connection break
	}
	q := w.r.request(t, reader(pack(instances...))).WithContext(ctx)
	_, err := w.r.try(q)
	close(ended)
	if err == nil {
		t.Fatal("the answer was not lost")
	}
	eventually.Succeeds(t, "the request is over", func() error {
		if !w.r.open.TryLock() { // handlers hold it shared
			return errNotYet
		}
		w.r.open.Unlock()
		return nil
	})
	w.answered = nil
}

func TestLostAnswerToIncrementals(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := startWired(t, n)
	s := newSource("h:1.j", 100, 4)
	w.r.send(t, s.next().full)
	two, three := s.next(), s.next()
	w.lose(t, two.incr, three.incr)
	wantCodes(t, w.r.send(t, two.incr, three.incr, s.next().incr), 0, 0, 0)
	n.wantRaw(t, "h:1.j f100", "h:1.j i101 i102", "h:1.j i103")
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102, 103)
}

// TestLostAnswerToFulls: the answer to a second round is lost, and the collector begins with the incremental form again.
func TestLostAnswerToFulls(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := startWired(t, n)
	s := newSource("h:1.j", 100, 4)
	one, two := s.next(), s.next()
	wantCodes(t, w.r.send(t, one.incr, two.incr), 1, 1)
	w.lose(t, one.full, two.full)
	wantCodes(t, w.r.send(t, one.incr, two.incr), 0, 0)
	n.wantRaw(t, "h:1.j f100 f101")
}

// TestLostAnswerOverTwoRuns: the request held the end of one run and the start of the next. Ingest remembers one run only, so
// both come again and are stored again; the fold knows them.
func TestLostAnswerOverTwoRuns(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := startWired(t, n)
	s := newSource("h:1.j", 100, 4)
	w.r.send(t, s.next().full)
	end := s.next()
	s.restart(5000, 6)
	begin, second := s.next(), s.next()
	w.lose(t, end.incr, begin.full, second.incr)
	wantCodes(t, w.r.send(t, end.incr, begin.full, second.incr), 1, 1, 1)
	wantCodes(t, w.r.send(t, end.full, begin.full, second.full), 0, 0, 0)
	wantCodes(t, w.r.send(t, s.next().incr), 0)
	f := foldRaw(t, n.raw(t))
	f.wantScrapes(t, s, 100, 101, 5000, 5001, 5002)
	if f.duplicates != 3 {
		t.Errorf("the fold dropped %d duplicates, want 3", f.duplicates)
	}
}

// TestReplayedBuffer: a collector sends its buffer, oldest first, to a process that never heard of it.
func TestReplayedBuffer(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	r.send(t, s.next().full)
	r.stop()
	var files [][]zstatsv1.Instance
	for range 3 {
		files = append(files, []zstatsv1.Instance{s.next().incr, s.next().incr})
	}
	r = start(t, n, nil)
	for _, file := range files {
		wantCodes(t, r.send(t, file...), 0, 0)
	}
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102, 103, 104, 105, 106)
}

// TestUnknownOutcome: the log doesn't answer, and may or may not have the blobs. The collector keeps them; sent again, each is
// in the log once as far as the fold is concerned.
func TestUnknownOutcome(t *testing.T) {
	for name, stored := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t, event.Limits{})
			w := startWired(t, n)
			s := newSource("h:1.j", 100, 4)
			w.r.send(t, s.next().full)
			w.inject(fault{stored: stored, err: errFault})
			next := s.next()
			got := w.r.post(t, pack(next.incr))
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("status %d, Retry-After %q; want 503 and some seconds", got.status, got.header.Get("Retry-After"))
			}
			if w.r.heads.cache.Len() != 0 {
				t.Error("a head is remembered although it is unknown")
			}
			wantCodes(t, w.r.send(t, next.incr), 0)
			wantCodes(t, w.r.send(t, s.next().incr), 0)
			n.wantRaw(t, "h:1.j f100", "h:1.j i101", "h:1.j i102")
			wantNothingHeld(t, w.r)
		})
	}
}

// TestPanic: a defect costs the request, which its collector sends again, and nobody else anything.
func TestPanic(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := startWired(t, n)
	w.r.Ingest.logger = quietest()
	s := newSource("h:1.j", 100, 4)
	w.r.send(t, s.next().full)
	w.inject(fault{stored: true, panics: true})
	next := s.next()
	if got := w.r.post(t, pack(next.incr)); got.status != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", got.status)
	}
	if got := w.r.metric("requests_total", string(outcomeInternal)); got != 1 {
		t.Errorf("%v requests with outcome %s counted, want 1", got, outcomeInternal)
	}
	wantNothingHeld(t, w.r)
	wantCodes(t, w.r.send(t, next.incr), 0)
	n.wantRaw(t, "h:1.j f100", "h:1.j i101")
}

// TestPanicWhileDecoding leaves nothing taken either.
func TestPanicWhileDecoding(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Logger = quietest() })
	r.intake.decoders = sync.Pool{New: func() any { return (*zstatsv1.Decoder)(nil) }}
	if got := r.post(t, pack()); got.status != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", got.status)
	}
	wantNothingHeld(t, r)
}

// TestTwoIngests: two processes on one log answer a collector that alternates between them exactly as one would.
func TestTwoIngests(t *testing.T) {
	n := openNode(t, event.Limits{})
	alone := openNode(t, event.Limits{})
	two := []*running{start(t, n, nil), start(t, n, nil)}
	one := start(t, alone, nil)
	turn := 0
	s := newSource("h:1.j", 100, 4)
	both := func(instances ...zstatsv1.Instance) []int8 {
		t.Helper()
		turn++
		got, want := two[turn%2].send(t, instances...), one.send(t, instances...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request %d (-one ingest +two ingests):\n%s", turn, diff)
		}
		return got
	}
	first := s.next()
	wantCodes(t, both(first.incr), 1)
	wantCodes(t, both(first.full), 0)
	for range 4 {
		wantCodes(t, both(s.next().incr), 0)
	}
	wantCodes(t, both(s.next().incr, s.next().incr), 0, 0)
	s.next() // lost
	gap, behind := s.next(), s.next()
	wantCodes(t, both(gap.incr, behind.incr), 1, 1)
	wantCodes(t, both(gap.full, behind.full), 0, 0)
	wantCodes(t, both(behind.incr), 0)
	wantCodes(t, both(s.next().incr), 0)
	s.restart(5000, 7)
	wantCodes(t, both(s.next().full), 0)
	wantCodes(t, both(s.next().incr), 0)
	wantCodes(t, both(s.next().incr, s.next().incr), 0, 0)
	if diff := cmp.Diff(words(alone.raw(t)), words(n.raw(t))); diff != "" {
		t.Errorf("RAW (-one ingest +two ingests):\n%s", diff)
	}
	if got := two[0].metric("head_reads_total", string(readStale)); got == 0 {
		t.Error("no head was read again: the test's ingests never disagreed with the log")
	}
}

// TestTwoIngestsLoseAnswers: the blob that was stored by one comes to the other, whose head is out of date.
func TestTwoIngestsLoseAnswers(t *testing.T) {
	n := openNode(t, event.Limits{})
	a, b := startWired(t, n), startWired(t, n)
	s := newSource("h:1.j", 100, 4)
	a.r.send(t, s.next().full)
	wantCodes(t, b.r.send(t, s.next().incr), 0)
	wantCodes(t, a.r.send(t, s.next().incr), 0)
	for range 3 {
		next := s.next()
		a.lose(t, next.incr)
		wantCodes(t, b.r.send(t, next.incr), 0)
		next = s.next()
		b.lose(t, next.incr)
		wantCodes(t, a.r.send(t, next.incr), 0)
	}
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102, 103, 104, 105, 106, 107, 108)
}

// mark marks the source's target and waits until the ingests know.
func (n *node) mark(t *testing.T, s *source, sequence uint64, ingests ...*running) {
	t.Helper()
	key := event.TargetKey(s.target())
	if err := n.marks.Put(context.Background(), key, []byte(strconv.FormatUint(sequence, 10))); err != nil {
		t.Fatal(err)
	}
	for _, r := range ingests {
		eventually.Succeeds(t, "the mark is known", func() error {
			if r.Ingest.marks.of(key) != sequence {
				return errNotYet
			}
			return nil
		})
	}
}

// TestResyncMark: a marked target must send a full blob, which is stored even if its generation is known.
func TestResyncMark(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	r.send(t, s.next().full)              // sequence 1
	last := s.next()                      //
	r.send(t, last.incr)                  // sequence 2
	n.mark(t, s, 2, r)                    //
	wantCodes(t, r.send(t, last.incr), 1) // even a duplicate
	next := s.next()
	wantCodes(t, r.send(t, next.incr), 1)
	wantCodes(t, r.send(t, last.full, next.full), 0, 0) // sequence 3
	n.wantRaw(t, "h:1.j f100", "h:1.j i101", "h:1.j f101 f102")
	wantCodes(t, r.send(t, next.incr), 0) // a duplicate again
	wantCodes(t, r.send(t, s.next().incr), 0)
	if got := r.metric("resends_total", string(reasonResync)); got != 2 {
		t.Errorf("%v resends for the mark counted, want 2", got)
	}
	// The same mark again changes nothing, a later one does.
	n.mark(t, s, 2, r)
	wantCodes(t, r.send(t, s.next().incr), 0)
	n.mark(t, s, 3, r)
	wantCodes(t, r.send(t, s.next().incr), 1)
}

// TestResyncMarkOfATargetBefore: marks are there before ingest starts, and speak of their own target only.
func TestResyncMarkBeforeTheStart(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	marked, other := newSource("marked:1.j", 100, 4), newSource("other:1.j", 100, 4)
	r.send(t, marked.next().full, other.next().full)
	r.stop()
	n.mark(t, marked, 2)
	r = start(t, n, nil)
	wantCodes(t, r.send(t, marked.next().incr, other.next().incr), 1, 0)
}

// TestResyncMarkOverTwoIngests: the full blob that a mark asks for went to one of them, and the other learns of it.
func TestResyncMarkOverTwoIngests(t *testing.T) {
	n := openNode(t, event.Limits{})
	a, b := start(t, n, nil), start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	a.send(t, s.next().full)
	wantCodes(t, b.send(t, s.next().incr), 0)
	n.mark(t, s, 2, a, b)
	next := s.next()
	wantCodes(t, a.send(t, next.incr), 1)
	wantCodes(t, a.send(t, next.full), 0)
	wantCodes(t, b.send(t, s.next().incr), 0)
	wantCodes(t, a.send(t, s.next().incr), 0)
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102, 103, 104)
}

// TestResyncMarkIsForgotten: marks end with their time.
func TestResyncMarkIsForgotten(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	r.send(t, s.next().full)
	n.mark(t, s, 1, r)
	if err := n.marks.Delete(context.Background(), event.TargetKey(s.target())); err != nil {
		t.Fatal(err)
	}
	eventually.Succeeds(t, "the mark is gone", func() error {
		if r.Ingest.marks.of(event.TargetKey(s.target())) != 0 {
			return errNotYet
		}
		return nil
	})
	wantCodes(t, r.send(t, s.next().incr), 0)
}

// TestResyncMarkThatIsNone is left out, and the others count.
func TestResyncMarkThatIsNone(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Logger = quietest() })
	bad, good := newSource("bad:1.j", 100, 4), newSource("good:1.j", 100, 4)
	r.send(t, bad.next().full, good.next().full)
	if err := n.marks.Put(context.Background(), event.TargetKey(bad.target()), []byte("soon")); err != nil {
		t.Fatal(err)
	}
	n.mark(t, good, 2, r)
	wantCodes(t, r.send(t, bad.next().incr, good.next().incr), 0, 1)
}

// TestMarksThatCantBeFollowed: without the marks no request is taken, and they are tried again.
func TestMarksThatCantBeFollowed(t *testing.T) {
	n := openNode(t, event.Limits{})
	source := &brokenMarks{Marks: n.marks, failures: 2}
	o := options(t)
	o.Logger = quietest()
	o.Raw, o.Dead, o.Log, o.Marks = startAppender(t, n, event.Raw), startAppender(t, n, event.Dead), n.bus, source
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	i.marks.pause = 0
	if i.Ready() == nil {
		t.Error("ready before Run")
	}
	r := serveIngest(t, i)
	eventually.Succeeds(t, "ingest is ready", r.Ready)
	if source.failures != 0 {
		t.Errorf("ready with %d failures to come", source.failures)
	}
}

// brokenMarks fails some times.
type brokenMarks struct {
	Marks
	failures int
}

func (b *brokenMarks) Watch(ctx context.Context, filter string) (*bus.Watch, error) {
	if b.failures > 0 {
		b.failures--
		return nil, errFault
	}
	return b.Marks.Watch(ctx, filter)
}
