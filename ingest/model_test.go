package ingest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// memoryLog is a log without disks, whose calls go wrong by chance.
type memoryLog struct {
	fails float64 // how likely a call goes wrong
	rand  *rand.Rand

	mu       sync.Mutex // guards what follows
	messages []bus.Message
	late     [][]bus.Message // of calls that have failed, yet to appear
}

func (l *memoryLog) Ready() error { return nil }

func (l *memoryLog) Room() error { return nil }

func (l *memoryLog) Watch(context.Context, string) (*bus.Watch, error) { return nil, errFault }

func (l *memoryLog) Last(_ context.Context, _, subject string) (bus.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Backward(l.messages) {
		if m.Subject == subject {
			return m, nil
		}
	}
	return bus.Message{}, bus.ErrNotFound
}

// Append stores the messages; or none, some or all of them, or all of them later, and fails.
func (l *memoryLog) Append(_ context.Context, msgs []bus.Message) ([]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rand.Float64() >= l.fails {
		return l.store(msgs), nil
	}
	switch l.rand.IntN(4) {
	case 0:
		l.store(msgs)
	case 1:
		l.store(msgs[:l.rand.IntN(len(msgs))])
	case 2:
		l.late = append(l.late, msgs)
	}
	return nil, errFault
}

func (l *memoryLog) store(msgs []bus.Message) []uint64 {
	sequences := make([]uint64, len(msgs))
	for i, m := range msgs {
		m.Sequence = uint64(len(l.messages) + 1)
		sequences[i] = m.Sequence
		l.messages = append(l.messages, m)
	}
	return sequences
}

// arrive stores what one failed call has left.
func (l *memoryLog) arrive() {
	if len(l.late) > 0 {
		l.store(l.late[0])
		l.late = l.late[1:]
	}
}

// unserved returns an ingest that a test calls directly.
func unserved(t testing.TB, log *memoryLog, change func(*Options)) *Ingest {
	t.Helper()
	o := options(t)
	o.Raw, o.Dead, o.Log, o.Marks = log, log, log, log
	if change != nil {
		change(&o)
	}
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.listener.Close() })
	i.marks.begin(make(map[string]uint64))
	i.running.Store(true)
	return i
}

func call(i *Ingest, body []byte) answer {
	q := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	q.Header.Set("Content-Type", ContentType)
	q.Header.Set(TokenHeader, testToken)
	w := httptest.NewRecorder()
	i.serve(w, q)
	return answer{w.Code, w.Result().Header, w.Body.Bytes()}
}

// world is a collector with some targets, and two ingests on one log.
type world struct {
	t       *testing.T
	rand    *rand.Rand
	log     *memoryLog
	ingests []*Ingest
	sources []*source
	pending [][]scraped // of each source, in order
	fresh   []bool      // the source's next scrape begins a run, so it has a full form only
	truth   map[string]map[int64][]float64
	sent    map[string][]int64 // acknowledged generations, in order
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)),
		truth: make(map[string]map[int64][]float64), sent: make(map[string][]int64),
	}
	w.log = &memoryLog{rand: w.rand, fails: 0.15}
	for range 2 {
		w.ingests = append(w.ingests, unserved(t, w.log, func(o *Options) { o.Limits.Heads = 2 }))
	}
	for i := range 3 {
		s := newSource(fmt.Sprintf("h:%d.j", i), 100, 3)
		w.sources, w.pending, w.fresh = append(w.sources, s), append(w.pending, nil), append(w.fresh, true)
		w.truth[s.name] = make(map[int64][]float64)
	}
	return w
}

// step lets one thing happen.
func (w *world) step() {
	switch w.rand.IntN(12) {
	case 0: // series come or go
		i := w.rand.IntN(len(w.sources))
		s := w.sources[i]
		s.restart(s.last.Generation+1000, 2+w.rand.IntN(3))
		w.fresh[i] = true
	case 1: // a scrape is lost before it is sent
		w.sources[w.rand.IntN(len(w.sources))].next()
	case 2:
		w.log.arrive()
	case 3: // a process starts anew
		w.ingests[w.rand.IntN(2)].heads.cache.Purge()
	case 4:
		w.mark()
	case 5, 6, 7, 8:
		w.flush()
	default:
		w.scrape()
	}
}

func (w *world) scrape() {
	i := w.rand.IntN(len(w.sources))
	s := w.sources[i]
	next := s.next()
	if w.fresh[i] {
		next.incr = next.full
		w.fresh[i] = false
	}
	w.truth[s.name][s.last.Generation] = s.last.Values
	w.pending[i] = append(w.pending[i], next)
}

// mark does what the assembler does when it loses a target's values.
func (w *world) mark() {
	s := w.sources[w.rand.IntN(len(w.sources))]
	for _, i := range w.ingests {
		i.marks.change(bus.Update{Key: event.TargetKey(s.target()), Value: fmt.Append(nil, len(w.log.messages))})
	}
}

// flush sends some of what is pending, and the full forms that are asked for.
func (w *world) flush() {
	var batch []scraped
	for _, p := range w.pending {
		batch = append(batch, p[:w.rand.IntN(min(len(p), 4)+1)]...)
	}
	first := make([]zstatsv1.Instance, len(batch))
	for i, b := range batch {
		first[i] = b.incr
	}
	codes, ok := w.send(first)
	if !ok {
		return
	}
	var again []scraped
	var second []zstatsv1.Instance
	for i, b := range batch {
		if codes[i] == zstatsv1.CodeStored {
			w.acknowledge(b)
			continue
		}
		again, second = append(again, b), append(second, b.full)
	}
	if len(again) == 0 {
		return
	}
	if codes, ok = w.send(second); !ok {
		return
	}
	for i, b := range again {
		if codes[i] != zstatsv1.CodeStored {
			w.t.Errorf("code %d for a full blob in a second round", codes[i])
		}
		w.acknowledge(b)
	}
}

// send sends to one of the ingests. It returns false if the collector sees no answer, or one that tells it to come again.
func (w *world) send(instances []zstatsv1.Instance) ([]int8, bool) {
	got := call(w.ingests[w.rand.IntN(2)], pack(instances...))
	if got.status == http.StatusServiceUnavailable || w.rand.Float64() < 0.1 {
		return nil, false
	}
	codes, err := codesOf(got, len(instances))
	if err != nil {
		w.t.Fatal(err)
	}
	return codes, true
}

// acknowledge forgets a scrape, as a collector may once it was told that it is stored.
func (w *world) acknowledge(b scraped) {
	for i, s := range w.sources {
		if s.name == b.full.Instance {
			w.pending[i] = slices.DeleteFunc(w.pending[i], func(p scraped) bool { return p.full.Gen == b.full.Gen })
			w.sent[s.name] = append(w.sent[s.name], b.full.Gen)
		}
	}
}

// check folds the log: every acknowledged scrape is there once, in order, with its values, and nothing could not be applied.
func (w *world) check() (duplicates int) {
	states := make(map[string]*scrape.State)
	got := make(map[string][]int64)
	for _, m := range w.log.messages {
		e, err := entryOf(m)
		if err != nil {
			w.t.Fatal(err)
		}
		name := e.target.Name
		for _, b := range e.blobs {
			next, out := states[name].Apply(b, scrape.Arrival{Received: e.head.Received, Sequence: e.sequence})
			switch out.Verdict {
			case scrape.Accepted:
				states[name] = next
				got[name] = append(got[name], b.Generation)
				if diff := cmp.Diff(w.truth[name][b.Generation], next.Values); diff != "" {
					w.t.Errorf("%s, generation %d (-scraped +stored):\n%s", name, b.Generation, diff)
				}
			case scrape.Duplicate:
				duplicates++
			default:
				w.t.Errorf("message %d, generation %d of %s: %s (%s)", e.sequence, b.Generation, name, out.Verdict, out.Reason)
			}
		}
	}
	if diff := cmp.Diff(w.sent, got); diff != "" {
		w.t.Errorf("generations (-acknowledged +in the log):\n%s", diff)
	}
	return duplicates
}

// TestAnyHistory lets collectors, processes and the log do whatever they can do, and looks at what the log holds in the end.
func TestAnyHistory(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	duplicates, acknowledged := 0, 0
	for h := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed+h), func(t *testing.T) {
			w := newWorld(t, seed+h)
			for range 150 {
				w.step()
			}
			w.log.fails = 0
			for slices.ContainsFunc(w.pending, func(p []scraped) bool { return len(p) > 0 }) {
				w.flush()
			}
			duplicates += w.check()
			for _, s := range w.sent {
				acknowledged += len(s)
			}
		})
	}
	if acknowledged == 0 || duplicates == 0 {
		t.Errorf("%d scrapes acknowledged and %d duplicates: the histories are too tame", acknowledged, duplicates)
	}
}
