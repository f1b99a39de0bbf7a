package main

import (
	"slices"
	"testing"
	"time"
)

func TestPlanIsOfItsSeed(t *testing.T) {
	choices := []choice{{kill, "a", 3}, {pause, "b", 1}, {fullLog, "c", 1}}
	first := plan(7, 10*time.Minute, choices)
	if !slices.Equal(first, plan(7, 10*time.Minute, choices)) {
		t.Error("the same seed gives another plan")
	}
	if slices.Equal(first, plan(8, 10*time.Minute, choices)) {
		t.Error("another seed gives the same plan")
	}
	kinds := make(map[kind]int)
	last := time.Duration(0)
	for _, s := range first {
		if s.at <= last || s.at >= 10*time.Minute {
			t.Errorf("step %v is out of order or behind the end", s)
		}
		if s.kind == pause && s.lasts < 7*time.Second {
			t.Errorf("pause %v is not longer than a lease", s)
		}
		last = s.at
		kinds[s.kind]++
	}
	if len(kinds) != 3 || kinds[kill] < kinds[pause] {
		t.Errorf("kinds %v, want all of them, by their weights", kinds)
	}
}
