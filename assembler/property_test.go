package assembler

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// reference folds a log as plainly as possible: everything is kept in memory, one blob after the other.
type reference struct {
	period  int64
	states  map[scrape.Target]*scrape.State
	scrapes map[scrape.Target][]*scrape.State
	dead    map[uint64][]int64       // by sequence in RAW: generations
	asked   map[scrape.Target]uint64 // least mark that has ingest ask for a full blob, 0 where none is needed
}

func newReference(period time.Duration) *reference {
	return &reference{
		period.Microseconds(), make(map[scrape.Target]*scrape.State), make(map[scrape.Target][]*scrape.State),
		make(map[uint64][]int64), make(map[scrape.Target]uint64),
	}
}

func (r *reference) message(t *testing.T, target scrape.Target, d bus.Delivery) {
	t.Helper()
	head, err := event.ReadHead(d.Header, d.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := event.DecodeBlobs(d.Data)
	if err != nil {
		t.Fatal(err)
	}
	ask := false
	for _, b := range blobs {
		next, out := r.states[target].Apply(b, scrape.Arrival{Received: head.Received, Sequence: d.Sequence})
		switch out.Verdict {
		case scrape.Duplicate:
		case scrape.Accepted:
			if next.Announced == 0 || next.Epoch > next.Announced+r.period {
				next.Announced = next.Epoch
			}
			r.states[target] = next
			r.scrapes[target] = append(r.scrapes[target], next)
			if b.Full() {
				ask, r.asked[target] = false, 0
			}
			ask = ask || out.Resync
		default:
			r.dead[d.Sequence] = append(r.dead[d.Sequence], b.Generation)
			ask = true
		}
	}
	switch {
	case ask && r.asked[target] == 0:
		r.asked[target] = d.Sequence
	case ask: // full blobs that are not accepted end a mark, too
		r.asked[target] = max(r.asked[target], head.FullSequence)
	}
}

// stream makes blobs of one target that come in any order, twice, or not at all.
type stream struct {
	r      *rand.Rand
	target scrape.Target
	device *device
	sent   []*scrape.Blob
}

func (s *stream) blob() *scrape.Blob {
	switch {
	case len(s.sent) == 0 || s.r.Intn(12) == 0:
		return s.keep(s.device.full())
	case s.r.Intn(8) == 0: // again
		return s.sent[len(s.sent)-1-s.r.Intn(min(len(s.sent), 10))]
	case s.r.Intn(15) == 0: // lost
		s.device.next()
	case s.r.Intn(15) == 0: // restarted, perhaps with other series
		s.device = newDevice(s.target.Name, s.r.Intn(20), 1+s.r.Int63n(1_000_000))
		return s.keep(s.device.full())
	}
	return s.keep(s.device.incremental())
}

func (s *stream) keep(b *scrape.Blob) *scrape.Blob {
	s.sent = append(s.sent, b)
	return b
}

// TestAnyStreamOfBlobs compares what comes out of batches of any size, with little room for states, with a plain fold.
func TestAnyStreamOfBlobs(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	const period = time.Minute
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.CacheBytes, o.BatchBytes, o.ReannouncePeriod = 5000, 10_000, period })
	streams := make([]*stream, 8)
	for i := range streams {
		target := scrape.Target{Account: "acme", Name: fmt.Sprintf("host-%d.job", i)}
		streams[i] = &stream{r: r, target: target, device: newDevice(target.Name, r.Intn(20), 1+r.Int63n(1_000_000))}
	}
	want := newReference(period)
	for round := range 60 {
		var messages []bus.Message
		var owners []scrape.Target
		for range 1 + r.Intn(40) {
			s := streams[r.Intn(len(streams))]
			blobs := []*scrape.Blob{s.blob()}
			for r.Intn(3) == 0 {
				blobs = append(blobs, s.blob())
			}
			messages = append(messages, rawMessage(t, s.target, seconds(round*7-r.Intn(20)), blobs...))
			owners = append(owners, s.target)
		}
		batch := n.feed(t, messages...)
		for i, d := range batch {
			want.message(t, owners[i], d)
		}
		if r.Intn(5) == 0 { // a commit that failed
			if _, err := a.Process(t.Context(), batch); err != nil && !errors.As(err, new(*bus.Partial)) {
				t.Fatal(err)
			}
			for p := range bustest.Partitions {
				a.Open(p)
			}
		}
		n.process(t, a, batch)
	}
	want.check(t, n, streams)
}

func (r *reference) check(t *testing.T, n *node, streams []*stream) {
	t.Helper()
	dead := make(map[uint64][]int64)
	for _, s := range streams {
		var got []*scrape.State
		for _, m := range n.messages(t, event.Scrapes, event.ScrapeSubject(s.target, bustest.Partitions)) {
			got = append(got, decodeState(t, m))
		}
		if diff := cmp.Diff(r.scrapes[s.target], got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("scrapes of %s (-want +got):\n%s", s.target, diff)
		}
		for _, l := range n.letters(t, s.target) {
			dead[l.Sequence] = l.Generations
		}
		for _, st := range got {
			n.published(t, s.target.Account, st.Schema)
		}
		// A target whose state was not in memory may be marked again.
		if mark, asked := n.markOf(t, s.target), r.asked[s.target]; mark < asked {
			t.Errorf("%s needs a full blob and must be marked with %d, and is marked with %d", s.target, asked, mark)
		}
	}
	if diff := cmp.Diff(r.dead, dead); diff != "" {
		t.Errorf("blobs in dead letters, by sequence in RAW (-want +got):\n%s", diff)
	}
}
