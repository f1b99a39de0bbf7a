package scrape

import (
	"math"
	"testing"
)

func TestApplyFull(t *testing.T) {
	b := full(100, 5000, 1.5, nan, negativeZero)
	b.Times[1] = 4990
	st, out := (*State)(nil).Apply(b, Arrival{Received: 7e6, Sequence: 42})
	mustEqual(t, "outcome", out, Outcome{})
	mustEqual(t, "state", st, &State{
		Scrape: Scrape{
			Generation: 100, Time: 5000, Epoch: 7e6, Received: 7e6, Full: true, Schema: b.Schema.Hash(),
			Values: []float64{1.5, nan, negativeZero},
			Stamps: []Stamp{{1, 4990}},
		},
		Runs:         []Run{{100, 100}},
		Sequence:     42,
		FullSequence: 42,
	})
	b.Values[0] = 9
	if st.Values[0] != 1.5 {
		t.Error("the state's values are the blob's")
	}
}

func TestApplyIncremental(t *testing.T) {
	first := full(100, 5000, 1, 2, 3, 4)
	first.Times[3] = 4000
	st := accept(t, first)
	st.Announced = 1e6

	b := mention(incremental(101, 6000, 4), 1, 0.5, 1000) // a new value
	b = mention(b, 2, 0, 700)                             // the old value with a time of its own
	b = mention(b, 3, 1, 2000)                            // a time of its own that is the scrape's again
	got, out := st.Apply(b, Arrival{Received: 8e6, Sequence: 43})
	mustEqual(t, "outcome", out, Outcome{})
	mustEqual(t, "state", got, &State{
		Scrape: Scrape{
			Generation: 101, Time: 6000, Epoch: 8e6, Received: 8e6, Schema: first.Schema.Hash(),
			Values: []float64{1, 2.5, 3, 5},
			Stamps: []Stamp{{2, 5700}},
		},
		Runs:         []Run{{100, 101}},
		Sequence:     43,
		FullSequence: 1,
		Announced:    1e6,
	})
}

// A sample that a blob doesn't mention takes the blob's time, and the next difference counts from there.
func TestApplyTimesOfUnmentionedSamples(t *testing.T) {
	first := full(1, 1000, 1, 1)
	first.Times[0] = 400
	st := accept(t, first,
		incremental(2, 2000, 2),
		mention(incremental(3, 3000, 2), 0, 0, 500))
	mustEqual(t, "stamps", st.Stamps, []Stamp{{0, 2500}})
}

func TestApplyVerdicts(t *testing.T) {
	known := accept(t, full(10, 1000, 1, 2, 3), incremental(11, 2000, 3))
	last := accept(t, full(math.MaxInt64, 1000, 1, 2, 3))
	stamped := full(10, 1000, 1, 2, 3)
	stamped.Times[1] = math.MaxInt64
	late := accept(t, stamped)
	lengths := func(change func(b *Blob)) *Blob {
		b := full(20, 3000, 1, 2, 3)
		change(b)
		return b
	}
	next := func() *Blob { return incremental(12, 3000, 3) }

	tests := []struct {
		name    string
		st      *State
		b       *Blob
		verdict Verdict
		reason  string
	}{
		{"known, incremental", known, incremental(11, 2000, 3), Duplicate, ReasonDuplicate},
		{"known, full", known, full(10, 1000, 1, 2, 3), Duplicate, ReasonDuplicate},
		{"known and malformed", known, mention(incremental(11, 2000, 7), 99, nan, 0), Duplicate, ReasonDuplicate},

		{"nothing known", nil, incremental(12, 3000, 3), Orphan, ReasonNoState},
		{"zero state", new(State), incremental(1, 3000, 0), Orphan, ReasonNoState},
		{"gap", known, incremental(13, 3000, 3), Orphan, ReasonGap},
		{"before all runs", known, incremental(9, 3000, 3), Orphan, ReasonGap},
		{"no generation after the last", last, incremental(math.MinInt64, 3000, 3), Orphan, ReasonGap},
		{"prefix", known, incremental(12, 3000, 2), Orphan, ReasonCount},
		{"negative count", known, incremental(12, 3000, -1), Orphan, ReasonCount},

		{"index out of range", known, mention(next(), 3, 1, 1000), Unusable, ReasonIndex},
		{"negative index", known, mention(next(), -1, 1, 1000), Unusable, ReasonIndex},
		{"index twice", known, mention(mention(next(), 1, 1, 1000), 1, 1, 1000), Unusable, ReasonIndex},
		{"indexes descend", known, mention(mention(next(), 1, 1, 1000), 0, 1, 1000), Unusable, ReasonIndex},
		{"NaN", known, mention(next(), 1, nan, 1000), Unusable, ReasonNonFinite},
		{"infinite", known, mention(next(), 1, -inf, 1000), Unusable, ReasonNonFinite},
		{"time overflows", late, mention(incremental(11, 3000, 3), 1, 1, 1), Unusable, ReasonTime},
		{"a time far in the past", known, mention(next(), 1, 1, math.MinInt64), Accepted, ""},
		{"too few times", known, &Blob{Generation: 12, Samples: 3, Index: []int32{1}, Values: []float64{1}}, Unusable, ReasonLength},
		{"too few values", known, &Blob{Generation: 12, Samples: 3, Index: []int32{1}, Times: []int64{1}}, Unusable, ReasonLength},

		{"full, count", known, lengths(func(b *Blob) { b.Samples = 4 }), Unusable, ReasonLength},
		{"full, values", known, lengths(func(b *Blob) { b.Values = b.Values[:2] }), Unusable, ReasonLength},
		{"full, times", known, lengths(func(b *Blob) { b.Times = nil }), Unusable, ReasonLength},
		{"full, schema", known, lengths(func(b *Blob) { b.Schema = schemaOf("m", 2) }), Unusable, ReasonLength},
		{"full, index", known, lengths(func(b *Blob) { b.Index = []int32{0, 1, 2} }), Unusable, ReasonLength},

		{"full over nothing", nil, full(1, 1000), Accepted, ""},
		{"full after a gap", known, full(500, 3000, 1, 2, 3), Accepted, ""},
		{"full from before", known, full(3, 3000, 1, 2, 3), Accepted, ""},
		{"full of another size", known, full(12, 3000, 1), Accepted, ""},
		{"next", known, next(), Accepted, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st, b := cloneState(test.st), cloneBlob(test.b)
			got, out := test.st.Apply(test.b, Arrival{Received: 5e6, Sequence: 9})
			if out.Verdict != test.verdict || out.Reason != test.reason {
				t.Fatalf("got %v %q, want %v %q", out.Verdict, out.Reason, test.verdict, test.reason)
			}
			if (got == test.st) != (test.verdict != Accepted) {
				t.Error("the returned state is the given one if and only if the blob was not accepted")
			}
			mustEqual(t, "the given state", test.st, st)
			mustEqual(t, "the blob", test.b, b)
		})
	}
}

// A generation is a counter of scrapes: a zero state doesn't make generation 1 follow.
func TestApplyEmptyScrape(t *testing.T) {
	st := accept(t, full(1, 1000), incremental(2, 2000, 0))
	mustEqual(t, "runs", st.Runs, []Run{{1, 2}})
	if st.Schema.IsZero() {
		t.Error("an empty schema has no hash")
	}
}

// The numbers of section 4 of the wire contract.
func TestApplyInferredSeriesStaysSo(t *testing.T) {
	steps := []struct {
		truth, want float64
		inferred    int
	}{
		{0.1, 0.1, 0},
		{1e16, 1e16, 0},
		{3, 4, 1}, // 3, 4 and 5 have the same difference
		{7, 8, 1}, // one value fits, but it is as wrong as the one before
		{7, 8, 1}, // not even mentioned
		{0.3, 1.3, 1},
	}
	schema := schemaOf("m", 1)
	var st *State
	var before *Scrape
	for i, step := range steps {
		now := &Scrape{Generation: int64(i), Time: int64(i), Schema: schema.Hash(), Values: []float64{step.truth}}
		b := fullOf(schema, now)
		if before != nil {
			b = Increment(before, now)
		}
		var out Outcome
		st, out = st.Apply(b, Arrival{})
		mustEqual(t, "outcome", out, Outcome{Inferred: step.inferred})
		mustEqual(t, "value", st.Values, []float64{step.want})
		before = now
	}
	st, out := st.Apply(fullOf(schema, &Scrape{Generation: 99, Values: []float64{0.3}}), Arrival{})
	mustEqual(t, "outcome of the full blob", out, Outcome{})
	mustEqual(t, "inferred after it", st.Inferred, []int32(nil))
}

func TestApplyInferredPositions(t *testing.T) {
	st := accept(t, full(1, 0, 5, 5, 5, 5, 5),
		mention(mention(incremental(2, 0, 5), 1, -5, 0), 3, -5, 0),
		mention(mention(mention(incremental(3, 0, 5), 0, -5, 0), 3, 1, 0), 4, -5, 0))
	mustEqual(t, "values", st.Values, []float64{0, 0, 5, 1, 0})
	mustEqual(t, "inferred", st.Inferred, []int32{0, 1, 3, 4})
}

// What fits no value is written all the same, and the target is asked for a full blob.
func TestApplyContradiction(t *testing.T) {
	for _, test := range []struct{ p, d, want float64 }{
		{1e16, 0.5, 1e16},
		{nan, 3, nan},
		{inf, -3, inf},
		{largest, largest, inf},
	} {
		st := accept(t, full(1, 0, 7, test.p))
		st, out := st.Apply(mention(incremental(2, 0, 2), 1, test.d, 0), Arrival{})
		mustEqual(t, "outcome", out, Outcome{Inferred: 1, Resync: true})
		if !sameValue(st.Values[1], test.want) || st.Values[0] != 7 {
			t.Errorf("%v and %v give %v, want 7 and %v", test.p, test.d, st.Values, test.want)
		}
		_, out = st.Apply(incremental(3, 0, 2), Arrival{})
		mustEqual(t, "outcome of the next", out, Outcome{Inferred: 1})
	}
}

func TestApplyEpoch(t *testing.T) {
	tests := []struct{ received, epoch int64 }{
		{1000, 1000},
		{2000, 2000},
		{2000, 2001}, // the same microsecond
		{1500, 2002}, // a clock that was set back
		{2002, 2003},
		{9000, 9000},
	}
	for name, blob := range map[string]func(g int64) *Blob{
		"full":        func(g int64) *Blob { return full(g*10, 0, 1) },
		"incremental": func(g int64) *Blob { return incremental(g, 0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			st := accept(t, full(0, 0, 1))
			st.Epoch, st.Received = 0, 0
			for i, test := range tests {
				var out Outcome
				if st, out = st.Apply(blob(int64(i+1)), Arrival{Received: test.received}); out.Verdict != Accepted {
					t.Fatal(out)
				}
				if st.Epoch != test.epoch || st.Received != test.received {
					t.Errorf("received %d: epoch %d, received %d; want epoch %d", test.received, st.Epoch, st.Received, test.epoch)
				}
			}
		})
	}
}

func TestApplyAnnounced(t *testing.T) {
	st := accept(t, full(1, 0, 1))
	st.Announced = 77
	same, _ := st.Apply(full(5, 0, 2), Arrival{})
	other, _ := st.Apply(full(5, 0, 2, 3), Arrival{})
	if same.Announced != 77 || other.Announced != 0 {
		t.Errorf("announced %d under the same schema, %d under another; want 77, 0", same.Announced, other.Announced)
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r == "" || seen[r] {
			t.Errorf("reason %q is empty or there twice", r)
		}
		seen[r] = true
	}
}

func TestVerdictString(t *testing.T) {
	for v, want := range map[Verdict]string{
		Accepted: "accepted", Duplicate: "duplicate", Orphan: "orphan", Unusable: "unusable", 9: "verdict 9",
	} {
		if got := v.String(); got != want {
			t.Errorf("%d is %q, want %q", int(v), got, want)
		}
	}
}

func TestStateSize(t *testing.T) {
	small, large := accept(t, full(1, 0, 1)), accept(t, full(1, 0, make([]float64, 1001)...))
	if grown := large.Size() - small.Size(); grown < 8000 || grown > 9000 {
		t.Errorf("1000 values take %d bytes", grown)
	}
	stamped := full(1, 0, make([]float64, 1001)...)
	stamped.Time = 5
	if grown := accept(t, stamped).Size() - large.Size(); grown < 16000 {
		t.Errorf("1001 times take %d bytes", grown)
	}
}
