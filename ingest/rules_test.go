package ingest

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

func TestFullThenIncremental(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	wantCodes(t, r.send(t, s.next().full), 0)
	wantCodes(t, r.send(t, s.next().incr, s.next().incr), 0, 0)
	wantCodes(t, r.send(t, s.next().incr), 0)
	n.wantRaw(t, "h:1.j f100", "h:1.j i101 i102", "h:1.j i103")
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102, 103)
}

// TestHeadsInTheLog looks at what a reader of the log is told of each message.
func TestHeadsInTheLog(t *testing.T) {
	n := openNode(t, event.Limits{})
	clock := newClock()
	r := start(t, n, func(o *Options) { o.Now = clock.now })
	s := newSource("h:1.j", 100, 4)
	first := clock.micro()
	r.send(t, s.next().full)
	clock.advance(1)
	r.send(t, s.next().incr, s.next().incr)
	s.restart(5000, 3)
	r.send(t, s.next().full)
	want := []event.Head{
		{Received: first, Run: scrape.Run{First: 100, Last: 100}, Samples: 4, FullSequence: 1},
		{Received: first + 1_000_000, Run: scrape.Run{First: 100, Last: 102}, Samples: 4, FullSequence: 1},
		{Received: first + 1_000_000, Run: scrape.Run{First: 5000, Last: 5000}, Samples: 3, FullSequence: 3},
	}
	var got []event.Head
	for _, e := range n.raw(t) {
		got = append(got, e.head)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
}

func TestSeveralTargetsKeepTheirOrder(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	a, b := newSource("a:1.j", 100, 4), newSource("b:1.j", 900, 2)
	a1, a2, b1, b2 := a.next(), a.next(), b.next(), b.next()
	wantCodes(t, r.send(t, b1.incr, a1.full, b2.full, a2.incr), 1, 0, 1, 0)
	wantCodes(t, r.send(t, b1.full, b2.full), 0, 0)
	got := words(n.raw(t))
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a:1.j f100 i101", "b:1.j f900 f901"}, got); diff != "" {
		t.Errorf("RAW (-want +got):\n%s", diff)
	}
	f := foldRaw(t, n.raw(t))
	f.wantScrapes(t, a, 100, 101)
	f.wantScrapes(t, b, 900, 901)
}

// TestUnknownTarget: a new target's first incremental blob, and the round that follows.
func TestUnknownTarget(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	one, two := s.next(), s.next()
	wantCodes(t, r.send(t, one.incr, two.incr), 1, 1)
	n.wantRaw(t)
	wantCodes(t, r.send(t, one.full, two.full), 0, 0)
	n.wantRaw(t, "h:1.j f100 f101")
}

// TestFullBehindCodeOne: a full blob must not overtake an earlier one that comes again.
func TestFullBehindCodeOne(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	r.send(t, s.next().full)
	s.next() // lost on the way
	late := s.next()
	s.restart(5000, 3)
	fresh := s.next()
	wantCodes(t, r.send(t, late.incr, fresh.full), 1, 1)
	wantCodes(t, r.send(t, late.full, fresh.full), 0, 0)
	n.wantRaw(t, "h:1.j f100", "h:1.j f102 f5000")
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 102, 5000)
}

func TestDuplicatesAreNotStoredAgain(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	one, two, three := s.next(), s.next(), s.next()
	r.send(t, one.full, two.incr)
	wantCodes(t, r.send(t, one.full), 0)
	wantCodes(t, r.send(t, two.incr, three.incr), 0, 0)
	wantCodes(t, r.send(t, one.incr, two.full, three.full), 0, 0, 0)
	n.wantRaw(t, "h:1.j f100 i101", "h:1.j i102")
	if got := r.metric("blobs_total", formFull, "duplicate"); got != 3 {
		t.Errorf("%v full duplicates counted, want 3", got)
	}
	if got := r.metric("blobs_total", formIncremental, "duplicate"); got != 2 {
		t.Errorf("%v incremental duplicates counted, want 2", got)
	}
}

// metric returns the value of a counter with labels.
func (r *running) metric(name string, labels ...string) float64 {
	switch name {
	case "blobs_total":
		return testutil.ToFloat64(r.metrics.blobs.WithLabelValues(labels...))
	case "resends_total":
		return testutil.ToFloat64(r.metrics.resends.WithLabelValues(labels...))
	case "requests_total":
		return testutil.ToFloat64(r.metrics.requests.WithLabelValues(labels...))
	case "head_reads_total":
		return testutil.ToFloat64(r.metrics.headReads.WithLabelValues(labels...))
	}
	panic("no metric " + name)
}

// TestIncrementalsThatAreWrong: each gets code 1, stores nothing, and the full form helps.
func TestIncrementalsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		spoil func(*zstatsv1.Instance)
		want  reason
	}{
		"NaN":                {func(in *zstatsv1.Instance) { in.Samples[0].Val = math.NaN() }, reasonNonFinite},
		"infinity":           {func(in *zstatsv1.Instance) { in.Samples[1].Val = math.Inf(-1) }, reasonNonFinite},
		"index out of range": {func(in *zstatsv1.Instance) { in.Samples[len(in.Samples)-1].Idx = 4 }, reasonStructure},
		"negative index":     {func(in *zstatsv1.Instance) { in.Samples[0].Idx = -1 }, reasonStructure},
		"descending":         {func(in *zstatsv1.Instance) { in.Samples[0].Idx, in.Samples[1].Idx = 3, 1 }, reasonStructure},
		"index twice":        {func(in *zstatsv1.Instance) { in.Samples[1].Idx = in.Samples[0].Idx }, reasonStructure},
		"no samples":         {func(in *zstatsv1.Instance) { in.NSamples = 0 }, reasonStructure},
		"fewer samples":      {func(in *zstatsv1.Instance) { in.Samples, in.NSamples = in.Samples[:1], 3 }, reasonCount},
		"more samples":       {func(in *zstatsv1.Instance) { in.NSamples = 5 }, reasonCount},
		"gap":                {func(in *zstatsv1.Instance) { in.Gen++ }, reasonGap},
	}
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSource(name+".j", 101, 4)
			r.send(t, s.next().full)
			before := words(n.raw(t))
			counted := r.metric("resends_total", string(tt.want))
			next := s.next()
			tt.spoil(&next.incr)
			wantCodes(t, r.send(t, next.incr), 1)
			n.wantRaw(t, before...)
			if got := r.metric("resends_total", string(tt.want)) - counted; got != 1 {
				t.Errorf("%v resends for %s counted, want 1", got, tt.want)
			}
			wantCodes(t, r.send(t, next.full), 0)
		})
	}
	foldRaw(t, n.raw(t))
}

// TestAccountsAndSources: the same name under other tokens is another target.
func TestAccountsAndSources(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("localhost:9090.prometheus", 100, 4)
	one, two := s.next(), s.next()
	r.send(t, one.full)
	for _, token := range []string{"east", "another"} {
		q := r.request(t, reader(pack(two.incr)))
		q.Header.Set(TokenHeader, token)
		got, err := codesOf(r.do(t, q), 1)
		if err != nil {
			t.Fatal(err)
		}
		wantCodes(t, got, 1)
		q = r.request(t, reader(pack(two.full)))
		q.Header.Set(TokenHeader, token)
		r.do(t, q)
	}
	var got []string
	for _, e := range n.raw(t) {
		got = append(got, e.target.String())
	}
	want := []string{
		"acme/localhost:9090.prometheus", "acme/@east/localhost:9090.prometheus", "other/localhost:9090.prometheus",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

// TestHeadLimit: what is older says nothing of what follows it, whether it is remembered or read.
func TestHeadLimit(t *testing.T) {
	for _, remembered := range []bool{true, false} {
		t.Run(fmt.Sprintf("remembered %v", remembered), func(t *testing.T) {
			n := openNode(t, event.Limits{})
			clock := newClock()
			o := func(o *Options) { o.Now, o.HeadLimit = clock.now, 60e9 }
			r := start(t, n, o)
			s := newSource("h:1.j", 100, 4)
			r.send(t, s.next().full)
			clock.advance(60)
			wantCodes(t, r.send(t, s.next().incr), 0)
			clock.advance(61)
			if !remembered {
				r = start(t, n, o)
			}
			old := s.next()
			wantCodes(t, r.send(t, old.incr), 1)
			if got := r.metric("resends_total", string(reasonNoHead)); got != 1 {
				t.Errorf("%v resends for want of a head, want 1", got)
			}
			wantCodes(t, r.send(t, old.full), 0)
			wantCodes(t, r.send(t, s.next().incr), 0)
		})
	}
}

// TestHeadsBeyondTheCache: with room for one head, the others are read from the log and all goes on.
func TestHeadsBeyondTheCache(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Limits.Heads = 1 })
	a, b := newSource("a:1.j", 100, 4), newSource("b:1.j", 100, 4)
	wantCodes(t, r.send(t, a.next().full, b.next().full), 0, 0)
	for range 3 {
		wantCodes(t, r.send(t, a.next().incr, b.next().incr), 0, 0)
	}
	if r.heads.cache.Len() != 1 {
		t.Errorf("%d heads are remembered, want 1", r.heads.cache.Len())
	}
	f := foldRaw(t, n.raw(t))
	f.wantScrapes(t, a, 100, 101, 102, 103)
	f.wantScrapes(t, b, 100, 101, 102, 103)
}

// TestRestart: a new process asks nobody for a full blob.
func TestRestart(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	r.send(t, s.next().full, s.next().incr)
	r.stop()
	r = start(t, n, nil)
	wantCodes(t, r.send(t, s.next().incr), 0)
	if got := r.metric("head_reads_total", string(readMissing)); got != 1 {
		t.Errorf("%v heads read, want 1", got)
	}
	foldRaw(t, n.raw(t)).wantScrapes(t, s, 100, 101, 102)
}

// TestManyRequestsAtOnce has more requests in flight than JetStream allows open batches.
func TestManyRequestsAtOnce(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	const collectors, rounds = 120, 3
	sources := make([]*source, collectors)
	var running sync.WaitGroup
	for c := range collectors {
		sources[c] = newSource(fmt.Sprintf("h:%d.j", c), 100, 4)
		bodies := [][]byte{pack(sources[c].next().full)}
		for range rounds {
			bodies = append(bodies, pack(sources[c].next().incr))
		}
		running.Go(func() {
			for _, body := range bodies {
				a, err := r.try(r.request(t, reader(body)))
				if err == nil {
					_, err = codesOf(a, 1)
				}
				if err != nil {
					t.Errorf("%s: %v", sources[c].name, err)
				}
			}
		})
	}
	running.Wait()
	f := foldRaw(t, n.raw(t))
	for _, s := range sources {
		f.wantScrapes(t, s, 100, 101, 102, 103)
	}
	if f.duplicates > 0 {
		t.Errorf("%d duplicates in RAW", f.duplicates)
	}
}

// TestSameTargetAtOnce: requests that speak of the same targets take turns, so exactly one of each generation gets through.
func TestSameTargetAtOnce(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	a, b := newSource("a:1.j", 100, 4), newSource("b:1.j", 100, 4)
	r.send(t, a.next().full, b.next().full)
	const rounds, copies = 5, 20
	for range rounds {
		nextA, nextB := a.next().incr, b.next().incr
		bodies := [][]byte{pack(nextA, nextB), pack(nextB, nextA)}
		var running sync.WaitGroup
		for c := range copies {
			running.Go(func() {
				got, err := r.try(r.request(t, reader(bodies[c%2])))
				if err != nil {
					t.Error(err)
					return
				}
				if codes, err := codesOf(got, 2); err != nil || !slices.Equal(codes, []int8{0, 0}) {
					t.Errorf("codes %v, %v", codes, err)
				}
			})
		}
		running.Wait()
	}
	f := foldRaw(t, n.raw(t))
	f.wantScrapes(t, a, 100, 101, 102, 103, 104, 105)
	f.wantScrapes(t, b, 100, 101, 102, 103, 104, 105)
	if f.duplicates > 0 {
		t.Errorf("%d duplicates in RAW", f.duplicates)
	}
}

// TestNamesWithSpaces: names that differ in spaces are different targets to whoever reads the log.
func TestNamesWithSpaces(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	names := []string{" h:1.j", "h:1.j ", "h:1.j", "h: 1.j", "100%.j"}
	for _, name := range names {
		wantCodes(t, r.send(t, newSource(name, 100, 2).next().full), 0)
	}
	var got []string
	for _, e := range n.raw(t) {
		got = append(got, e.target.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-sent +in the log):\n%s", diff)
	}
}
