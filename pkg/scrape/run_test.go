package scrape

import (
	"math"
	"testing"
)

func TestWithGeneration(t *testing.T) {
	tests := []struct {
		name string
		runs []Run
		g    int64
		want []Run
	}{
		{"first", nil, 5, []Run{{5, 5}}},
		{"next of the last run", []Run{{1, 3}, {10, 12}}, 13, []Run{{1, 3}, {10, 13}}},
		{"next of an older run", []Run{{1, 3}, {10, 12}}, 4, []Run{{10, 12}, {1, 4}}},
		{"a new run", []Run{{1, 3}, {10, 12}}, 20, []Run{{1, 3}, {10, 12}, {20, 20}}},
		{"a new run below", []Run{{10, 12}}, 3, []Run{{10, 12}, {3, 3}}},
		{"before a run", []Run{{10, 12}, {50, 51}}, 9, []Run{{50, 51}, {9, 12}}},
		{"between two runs", []Run{{10, 12}, {50, 51}, {1, 8}}, 9, []Run{{50, 51}, {1, 12}}},
		{"largest", []Run{{math.MinInt64, math.MinInt64}}, math.MaxInt64,
			[]Run{{math.MinInt64, math.MinInt64}, {math.MaxInt64, math.MaxInt64}}},
		{"smallest", []Run{{math.MaxInt64, math.MaxInt64}}, math.MinInt64,
			[]Run{{math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := append([]Run(nil), test.runs...)
			mustEqual(t, "runs", withGeneration(test.runs, test.g), test.want)
			mustEqual(t, "the given runs", test.runs, before)
		})
	}
}

func TestWithGenerationForgetsTheOldest(t *testing.T) {
	var runs []Run
	for g := range int64(MaxRuns + 3) {
		runs = withGeneration(runs, g*10)
	}
	if len(runs) != MaxRuns || runs[0] != (Run{30, 30}) || runs[MaxRuns-1] != (Run{(MaxRuns + 2) * 10, (MaxRuns + 2) * 10}) {
		t.Fatalf("%d runs: %v", len(runs), runs)
	}
	runs = withGeneration(runs, 31) // the oldest one grows and becomes the newest
	runs = withGeneration(runs, 1000)
	if contains(runs, 40) || !contains(runs, 30) || !contains(runs, 31) {
		t.Errorf("40 should be forgotten, 30 and 31 known: %v", runs)
	}
}

// Runs say the same as the set of all generations, as long as there are not too many of them.
func TestWithGenerationAgainstSet(t *testing.T) {
	r := newRand(t)
	for range 200 {
		var runs []Run
		set := map[int64]bool{}
		for range 100 {
			g := int64(r.Intn(2 * MaxRuns)) // at most MaxRuns runs fit
			if contains(runs, g) != set[g] {
				t.Fatalf("generation %d: known %v, want %v, in %v", g, !set[g], set[g], runs)
			}
			if set[g] {
				continue
			}
			set[g] = true
			if runs = withGeneration(runs, g); !runs[len(runs)-1].Contains(g) {
				t.Fatalf("the last run doesn't contain %d: %v", g, runs)
			}
		}
	}
}

func TestFollows(t *testing.T) {
	tests := []struct {
		last, g int64
		want    bool
	}{
		{1, 2, true}, {-1, 0, true}, {1, 1, false}, {2, 1, false}, {1, 3, false},
		{math.MaxInt64 - 1, math.MaxInt64, true}, {math.MaxInt64, math.MinInt64, false}, {math.MinInt64, math.MaxInt64, false},
	}
	for _, test := range tests {
		if got := Follows(test.last, test.g); got != test.want {
			t.Errorf("Follows(%d, %d) = %v", test.last, test.g, got)
		}
	}
}
