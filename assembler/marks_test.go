package assembler

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

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
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(reasonStrict)); got != 1 {
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
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(reasonUnfit)); got != 1 {
		t.Errorf("%v marks counted, want 1", got)
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
