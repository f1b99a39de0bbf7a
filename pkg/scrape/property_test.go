package scrape

import (
	"math"
	"math/rand"
	"slices"
	"testing"
)

// target makes up one scrape after the other, as a target exposes them.
type target struct {
	r      *rand.Rand
	schema *Schema
	hash   Hash
	last   *Scrape
}

func newTarget(r *rand.Rand) *target {
	t := &target{r: r, last: &Scrape{Generation: r.Int63n(1000), Time: 1_700_000_000_000}}
	t.restart()
	return t
}

// restart exposes other series and begins a new run.
func (t *target) restart() {
	n := t.r.Intn(20)
	t.schema = schemaOf("m", n)
	t.hash = t.schema.Hash()
	t.last = &Scrape{Generation: t.last.Generation + 2 + t.r.Int63n(1000), Time: t.last.Time, Values: make([]float64, n)}
}

func (t *target) scrape() *Scrape {
	s := &Scrape{
		Generation: t.last.Generation + 1, Time: t.last.Time + t.r.Int63n(20_000), Schema: t.hash,
		Values: make([]float64, len(t.last.Values)),
	}
	for i, v := range t.last.Values {
		s.Values[i] = t.value(i, v)
		if t.r.Intn(4) == 0 && i%3 == 0 {
			s.Stamps = append(s.Stamps, Stamp{int32(i), s.Time - 1 - t.r.Int63n(5000)})
		}
	}
	t.last = s
	return s
}

// value returns what series i says after v: each kind of series has its own way.
func (t *target) value(i int, v float64) float64 {
	r := t.r
	switch i % 10 {
	case 0: // unchanged for long
		if r.Intn(10) > 0 {
			return v
		}
		return v + 1
	case 1: // a counter that is reset now and then
		if r.Intn(20) == 0 {
			return 0
		}
		return v + float64(r.Intn(1000))
	case 2: // a counter of seconds
		return v + float64(r.Intn(1000))/1000
	case 3: // a percentage
		return float64(r.Intn(10_000)) / 100
	case 4: // a free gauge
		return r.NormFloat64()
	case 5: // any magnitude
		return randomDouble(r, -1000, 1000)
	case 6: // idle or not
		if r.Intn(30) == 0 {
			return []float64{nan, inf, -inf}[r.Intn(3)]
		}
		return float64(r.Intn(3))
	case 7: // never changes
		return 0.1
	case 8: // subnormal
		return float64(r.Intn(5)-2) * smallest
	}
	return []float64{largest, -largest, 1, 1e16, 0.3}[r.Intn(5)]
}

// A chain of incremental blobs gives what full blobs of the same scrapes give, apart from inferred values and the sign of
// zeros. On the way: each blob twice is as good as once, no state and no blob is ever modified.
func TestIncrementsGiveWhatFullBlobsGive(t *testing.T) {
	r := newRand(t)
	var tally struct{ incremental, full, proven, inferred, wrong, resync int }
	for range 40 {
		target := newTarget(r)
		var st, reference *State
		var before *Scrape
		for step := range 60 {
			if r.Intn(25) == 0 {
				target.restart()
			}
			now := target.scrape()
			at := Arrival{Received: now.Time*1000 + r.Int63n(1e7), Sequence: uint64(step)}
			whole := fullOf(target.schema, now)
			reference = applyChecked(t, reference, whole, at, nil)

			var out Outcome
			st, out = applyStep(t, st, before, now, whole, at)
			before = now
			if st.Full {
				tally.full++
			} else {
				tally.incremental++
			}
			if out.Resync {
				tally.resync++
			}
			wrong := compareWithTruth(t, st, reference)
			tally.proven += len(st.Values) - len(st.Inferred)
			tally.inferred += len(st.Inferred)
			tally.wrong += wrong
		}
	}
	t.Logf("%+v", tally)
	if tally.incremental == 0 || tally.full == 0 || tally.proven == 0 || tally.wrong == 0 || tally.inferred <= tally.wrong {
		t.Errorf("the sequences don't try everything: %+v", tally)
	}
}

// applyStep sends now as a collector does: the incremental blob if there can be one, the full one if that is refused.
func applyStep(t *testing.T, st *State, before, now *Scrape, whole *Blob, at Arrival) (*State, Outcome) {
	t.Helper()
	if before != nil && Follows(before.Generation, now.Generation) {
		if b := Increment(before, now); b != nil {
			var out Outcome
			if next := applyChecked(t, st, b, at, &out); out.Verdict == Accepted {
				return next, out
			} else if out.Reason != ReasonNonFinite {
				t.Fatalf("an incremental blob was not accepted: %+v", out)
			}
		}
	}
	var out Outcome
	return applyChecked(t, st, whole, at, &out), out
}

// applyChecked applies b, then once more, and checks what holds for every step.
func applyChecked(t *testing.T, st *State, b *Blob, at Arrival, out *Outcome) *State {
	t.Helper()
	stBefore, bBefore := cloneState(st), cloneBlob(b)
	next, got := st.Apply(b, at)
	if out != nil {
		*out = got
	}
	mustBeAsBefore(t, st, stBefore, b, bBefore)
	checkInvariants(t, st, next, b, at, got)
	if got.Verdict != Accepted {
		return next
	}
	nextBefore := cloneState(next)
	again, second := next.Apply(b, at)
	if again != next || second.Verdict != Duplicate {
		t.Fatalf("the same blob again is %+v", second)
	}
	mustBeAsBefore(t, next, nextBefore, b, bBefore)
	return next
}

// checkInvariants checks what holds after any blob.
func checkInvariants(t *testing.T, st, next *State, b *Blob, at Arrival, out Outcome) {
	t.Helper()
	if out.Verdict != Accepted {
		if next != st || out.Reason == "" || out.Inferred != 0 || out.Resync {
			t.Fatalf("not accepted, but %+v", out)
		}
		return
	}
	if out.Reason != "" || out.Inferred != len(next.Inferred) || out.Resync && out.Inferred == 0 {
		t.Fatalf("accepted, but %+v", out)
	}
	if next.Generation != b.Generation || next.Time != b.Time || next.Full != b.Full() || len(next.Values) != b.Samples {
		t.Fatalf("the state is not the blob's: %+v", next)
	}
	if st != nil && next.Epoch <= st.Epoch || next.Epoch < at.Received || next.Received != at.Received {
		t.Fatalf("epoch %d, received %d at %d", next.Epoch, next.Received, at.Received)
	}
	if n := len(next.Runs); n == 0 || n > MaxRuns || !next.Runs[n-1].Contains(b.Generation) {
		t.Fatalf("runs after generation %d: %v", b.Generation, next.Runs)
	}
	checkPositions(t, next)
}

func checkPositions(t *testing.T, st *State) {
	t.Helper()
	before := int32(-1)
	for _, i := range st.Inferred {
		if i <= before || int(i) >= len(st.Values) {
			t.Fatalf("inferred positions of %d values: %v", len(st.Values), st.Inferred)
		}
		before = i
	}
	before = -1
	for _, s := range st.Stamps {
		if s.Index <= before || int(s.Index) >= len(st.Values) || s.Time == st.Time {
			t.Fatalf("times of %d values at %d: %v", len(st.Values), st.Time, st.Stamps)
		}
		before = s.Index
	}
	for i := range st.Runs {
		if st.Runs[i].First > st.Runs[i].Last {
			t.Fatalf("a run ends before it begins: %v", st.Runs)
		}
	}
}

// compareWithTruth compares a state with that of full blobs only. It returns how many inferred values are wrong.
func compareWithTruth(t *testing.T, st, truth *State) (wrong int) {
	t.Helper()
	if st.Generation != truth.Generation || st.Time != truth.Time || st.Epoch != truth.Epoch || st.Schema != truth.Schema {
		t.Fatalf("got %+v, want %+v", st, truth)
	}
	if !slices.Equal(st.Stamps, truth.Stamps) || !slices.Equal(st.Runs, truth.Runs) {
		t.Fatalf("times %v, runs %v; want %v, %v", st.Stamps, st.Runs, truth.Stamps, truth.Runs)
	}
	inferred := st.Inferred
	for i, v := range st.Values {
		same := sameValue(v, truth.Values[i]) || v == 0 && truth.Values[i] == 0
		if len(inferred) > 0 && inferred[0] == int32(i) {
			inferred = inferred[1:]
			if !same {
				wrong++
			}
		} else if !same {
			t.Fatalf("value %d is %v, not inferred; the target said %v", i, v, truth.Values[i])
		}
	}
	return wrong
}

// Runs that are played again from any point, whole or in part, change nothing.
func TestReplay(t *testing.T) {
	r := newRand(t)
	for range 50 {
		var st *State
		var sent []*Blob
		for g := range int64(60) {
			b := incremental(g, g*1000, 3)
			if g == 0 || r.Intn(10) == 0 {
				b = full(g, g*1000, 1, 2, 3)
			}
			sent = append(sent, b)
		}
		for k, b := range sent {
			st = applyChecked(t, st, b, Arrival{Received: int64(k)}, nil)
			for from := r.Intn(k + 1); from <= k && r.Intn(5) > 0; from++ {
				if again, out := st.Apply(sent[from], Arrival{Received: math.MaxInt32}); again != st || out.Verdict != Duplicate {
					t.Fatalf("blob %d after %d is %+v", from, k, out)
				}
			}
		}
		mustEqual(t, "runs", st.Runs, []Run{{0, 59}})
	}
}
