package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is what can go wrong.
type kind string

const (
	kill      kind = "kill -9"        // and started again after a while
	killAll   kind = "kill -9 of all" // NATS servers at once, and started again
	pause     kind = "pause"          // stopped for longer than any lease, and continued
	terminate kind = "terminate"      // asked to stop, and started again
	noRoom    kind = "disk low"       // of the log: less than the reserve is left
	fullLog   kind = "log disk full"  // of the log: to the brim
	fullFiles kind = "file disk full" // of the writer: to the brim
	garbage   kind = "garbage"        // requests that are none
)

// step is one fault of a plan.
type step struct {
	at     time.Duration // since the start
	kind   kind
	victim string
	lasts  time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("%7.1fs  %-14s  %-12s  %4.1fs", s.at.Seconds(), s.kind, s.victim, s.lasts.Seconds())
}

// choice is a fault that a plan may have, and how often compared with others.
type choice struct {
	kind   kind
	victim string
	weight int
}

// plan returns the faults of a run. It depends on its arguments alone, so the seed brings the same faults again.
func plan(seed uint64, length time.Duration, choices []choice) []step {
	random := rand.New(rand.NewPCG(seed, 2))
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	between := func(low, high float64) time.Duration {
		return time.Duration((low + (high-low)*random.Float64()) * float64(time.Second)).Round(100 * time.Millisecond)
	}
	var steps []step
	for at := between(2, 5); at < length; {
		n := random.IntN(total)
		i := 0
		for ; n >= choices[i].weight; i++ {
			n -= choices[i].weight
		}
		s := step{at: at, kind: choices[i].kind, victim: choices[i].victim, lasts: between(0, 2)}
		switch s.kind {
		case pause:
			s.lasts = between(7, 12)
		case noRoom, fullLog, fullFiles:
			s.lasts = between(3, 7)
		}
		steps = append(steps, s)
		// Some faults overlap: the next one may come while this one lasts.
		at += between(1.5, 8)
	}
	return steps
}
