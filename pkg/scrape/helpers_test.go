package scrape

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// schemaOf returns a schema of n series, another one for each family.
func schemaOf(family string, n int) *Schema {
	s := &Schema{Series: make([]Series, n)}
	for i := range s.Series {
		s.Series[i] = Series{
			Type:   "gauge",
			Labels: []Label{{MetricName, family}, {"i", strconv.Itoa(i)}},
		}
	}
	return s
}

// fullOf returns the full blob of a scrape.
func fullOf(schema *Schema, s *Scrape) *Blob {
	b := &Blob{
		Generation: s.Generation, Time: s.Time, Samples: len(s.Values), Schema: schema,
		Values: slices.Clone(s.Values), Times: make([]int64, len(s.Values)),
	}
	at := times{scrape: s}
	for i := range b.Times {
		b.Times[i] = at.at(int32(i))
	}
	return b
}

// full returns a full blob whose samples have its time.
func full(generation, time int64, values ...float64) *Blob {
	s := &Scrape{Generation: generation, Time: time, Values: values}
	return fullOf(schemaOf("m", len(values)), s)
}

// incremental returns an incremental blob without differences; mention adds one.
func incremental(generation, time int64, samples int) *Blob {
	return &Blob{Generation: generation, Time: time, Samples: samples}
}

func mention(b *Blob, index int32, value float64, time int64) *Blob {
	b.Index = append(b.Index, index)
	b.Values = append(b.Values, value)
	b.Times = append(b.Times, time)
	return b
}

// accept folds blobs, all of which must be accepted. The k-th arrives at k seconds with sequence k, counted from 1.
func accept(t *testing.T, blobs ...*Blob) *State {
	t.Helper()
	var st *State
	for k, b := range blobs {
		var out Outcome
		if st, out = st.Apply(b, Arrival{Received: int64(k+1) * 1e6, Sequence: uint64(k + 1)}); out.Verdict != Accepted {
			t.Fatalf("blob %d, generation %d: %+v", k, b.Generation, out)
		}
	}
	return st
}

func cloneState(st *State) *State {
	if st == nil {
		return nil
	}
	c := *st
	c.Values, c.Stamps, c.Inferred = slices.Clone(st.Values), slices.Clone(st.Stamps), slices.Clone(st.Inferred)
	c.Runs = slices.Clone(st.Runs)
	return &c
}

func cloneBlob(b *Blob) *Blob {
	c := *b
	c.Index, c.Values, c.Times = slices.Clone(b.Index), slices.Clone(b.Values), slices.Clone(b.Times)
	return &c
}

// mustEqual compares floats by their bits, and nil slices like empty ones.
func mustEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(sameBits), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// mustBeAsBefore checks that a step left a state and a blob alone, given copies of both. It is quick, because it is done
// for every step of a random sequence.
func mustBeAsBefore(t testing.TB, st, stBefore *State, b, bBefore *Blob) {
	t.Helper()
	if !sameState(st, stBefore) {
		t.Fatalf("the state was modified: %+v, before %+v", st, stBefore)
	}
	if b.Generation != bBefore.Generation || b.Time != bBefore.Time || b.Samples != bBefore.Samples || b.Schema != bBefore.Schema ||
		!slices.Equal(b.Index, bBefore.Index) || !slices.EqualFunc(b.Values, bBefore.Values, sameBits) || !slices.Equal(b.Times, bBefore.Times) {
		t.Fatalf("the blob was modified: %+v, before %+v", b, bBefore)
	}
}

func sameState(a, b *State) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Generation == b.Generation && a.Time == b.Time && a.Epoch == b.Epoch && a.Received == b.Received &&
		a.Full == b.Full && a.Schema == b.Schema && a.Sequence == b.Sequence && a.FullSequence == b.FullSequence && a.Announced == b.Announced &&
		slices.EqualFunc(a.Values, b.Values, sameBits) && slices.Equal(a.Stamps, b.Stamps) &&
		slices.Equal(a.Inferred, b.Inferred) && slices.Equal(a.Runs, b.Runs)
}
