package assembler

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// doubtful makes a blob say that its first value went from 1e17 to 3. The difference is the same for other values than 3.
func doubtful(b *scrape.Blob) *scrape.Blob {
	b.Index, b.Values, b.Times = []int32{0}, []float64{scrape.Delta(1e17, 3)}, []int64{5000}
	return b
}

// TestStrictAccounts: the account of a strict target has it marked once a value is not proven, others don't.
func TestStrictAccounts(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.Strict = func(account string) bool { return account == "strict" } })
	for account, marked := range map[string]bool{"strict": true, "easy": false} {
		target := scrape.Target{Account: account, Name: "host.job"}
		d := newDevice("m", 5, 1)
		d.last.Values[0] = 1e17
		batch := n.feed(t, each(t, target, 0, d.full(), d.incremental(), doubtful(d.incremental()), d.incremental())...)
		states := n.process(t, a, batch)
		if len(states) != 4 || len(states[2].Inferred) != 1 || len(states[3].Inferred) != 1 {
			t.Fatalf("%s: %d scrapes, want 4 of which the last two have an inferred value", account, len(states))
		}
		want := uint64(0)
		if marked {
			want = batch[2].Sequence
		}
		if got := n.markOf(t, target); got != want {
			t.Errorf("%s: marked with %d, want %d", account, got, want)
		}
	}
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(fold.ReasonStrict)); got != 1 {
		t.Errorf("%v marks counted, want 1", got)
	}
	if got := testutil.ToFloat64(a.metrics.inferred); got != 4 {
		t.Errorf("%v inferred values counted, want 4", got)
	}
}

// TestContradictionAsksForAFullBlob: a difference that fits no value says that the state is not the collector's. The scrape is
// written all the same.
func TestContradictionAsksForAFullBlob(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	d.last.Values[3] = math.NaN()
	blobs := []*scrape.Blob{d.full(), d.incremental()}
	blobs[1].Index, blobs[1].Values, blobs[1].Times = []int32{3}, []float64{1}, []int64{5000}
	batch := n.feed(t, each(t, testTarget, 0, blobs...)...)
	if states := n.process(t, a, batch); len(states) != 2 {
		t.Fatalf("%d scrapes, want 2", len(states))
	}
	if got := n.markOf(t, testTarget); got != batch[1].Sequence {
		t.Errorf("marked with %d, want %d", got, batch[1].Sequence)
	}
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(fold.ReasonUnfit)); got != 1 {
		t.Errorf("%v marks counted, want 1", got)
	}
}

// TestMarksThatNoLongerCount: ingest asks for a full blob only until RAW holds one behind the mark. If that is not accepted, or
// if a mark is not heeded for long, the target must be marked again.
func TestMarksThatNoLongerCount(t *testing.T) {
	for name, c := range map[string]struct {
		after  int // seconds
		blob   func(d *device, known *scrape.Blob) *scrape.Blob
		marked bool
	}{
		"a full blob whose lists don't fit": {1, func(d *device, _ *scrape.Blob) *scrape.Blob {
			b := d.full()
			b.Values = b.Values[1:]
			return b
		}, true},
		"a full blob that makes the fold panic": {1, func(d *device, _ *scrape.Blob) *scrape.Blob {
			b := d.full()
			b.Generation = 666
			return b
		}, true},
		"a full blob that is a duplicate":   {1, func(_ *device, known *scrape.Blob) *scrape.Blob { return known }, true},
		"an increment soon after the mark":  {60, func(d *device, _ *scrape.Blob) *scrape.Blob { return d.incremental() }, false},
		"an increment long after the mark":  {61, func(d *device, _ *scrape.Blob) *scrape.Blob { return d.incremental() }, true},
		"a full blob, which needs no marks": {61, func(d *device, _ *scrape.Blob) *scrape.Blob { return d.full() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t)
			a := n.assemble(t, func(o *Options) {
				o.hook = func(_ scrape.Target, b *scrape.Blob) {
					if b.Generation == 666 {
						panic("planted")
					}
				}
			})
			d := newDevice("m", 5, 1)
			known := d.full()
			d.next() // lost
			orphan := d.incremental()
			batch := n.feed(t, each(t, testTarget, 0, known, orphan)...)
			batch = append(batch, n.feed(t, rawMessage(t, testTarget, seconds(1+c.after), c.blob(d, known)))...)
			n.process(t, a, batch[:2])
			n.process(t, a, batch[2:])
			want := batch[1].Sequence
			if c.marked {
				want = batch[2].Sequence
			}
			if got := n.markOf(t, testTarget); got != want {
				t.Errorf("marked with %d, want %d", got, want)
			}
		})
	}
}

// TestTwoCollectorsOfOneName: each of the two goes on with its own run, in full blobs since the other one is always in between.
func TestTwoCollectorsOfOneName(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	one, two := newDevice("m", 5, 1000), newDevice("m", 5, 5000)
	// A collector that restarts is no conflict, nor one whose clock has gone back.
	restarted := newDevice("m", 5, 100)
	n.process(t, a, n.feed(t, each(t, testTarget, 0, one.full(), one.incremental(), restarted.full(), two.full(), two.incremental())...))
	if got := testutil.ToFloat64(a.metrics.conflicts); got != 0 {
		t.Errorf("%v conflicts counted for restarts", got)
	}
	n.process(t, a, n.feed(t, each(t, testTarget, 10, one.full(), two.full(), one.full(), one.incremental(), two.full())...))
	if got := testutil.ToFloat64(a.metrics.conflicts); got != 4 {
		t.Errorf("%v conflicts counted, want 4", got)
	}
}

// TestTwoCollectorsNeverMix lets two collectors of one name send what they like: each scrape that comes out is one that went in.
func TestTwoCollectorsNeverMix(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	n := openNode(t)
	a := n.assemble(t, nil)
	collectors := []*device{newDevice("m", 5, 1000), newDevice("m", 5, 5000)}
	sent := make(map[int64]*scrape.Scrape)
	var blobs []*scrape.Blob
	for i := range 300 {
		d := collectors[r.Intn(2)]
		full, incremental := d.next()
		if i < 2 || r.Intn(3) == 0 {
			incremental = full
		}
		blobs = append(blobs, incremental)
		sent[d.last.Generation] = d.last
	}
	states := n.process(t, a, n.feed(t, each(t, testTarget, 0, blobs...)...))
	for _, st := range states {
		if !st.Scrape.Equal(sent[st.Generation]) || len(st.Inferred) > 0 {
			t.Errorf("scrape of generation %d is not what was sent", st.Generation)
		}
		delete(sent, st.Generation)
	}
	refused := 0
	for _, l := range n.letters(t, testTarget) {
		refused += len(l.Generations)
	}
	if refused != len(sent) || len(states)+refused != len(blobs) {
		t.Errorf("%d blobs: %d scrapes, %d blobs in dead letters", len(blobs), len(states), refused)
	}
}
