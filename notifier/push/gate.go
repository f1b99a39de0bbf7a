package push

import (
	"context"
	"sync"
	"time"
)

// gate keeps calls from a service that takes nothing. Once shut, it lets one call at a time through, after a pause that doubles
// with each that fails, and opens with the first that is answered.
type gate struct {
	least, most time.Duration              // bounds of the pause
	told        func(open bool, why error) // called when it opens or is shut first, one call at a time

	mu      sync.Mutex    // guards what follows
	changed chan struct{} // closed, and replaced, when it changes
	pause   time.Duration // 0 while the gate is open
	until   time.Time     // the end of the pause
	trying  bool          // one call is under way to find out
	// round counts how often the gate was shut. What a call of an earlier round finds out is known already.
	round int
}

func newGate(least, most time.Duration, told func(bool, error)) *gate {
	return &gate{least: least, most: most, told: told, changed: make(chan struct{})}
}

// pass waits until calls may be made, and returns how many of n may be made at once; 0 if ctx has ended.
func (g *gate) pass(ctx context.Context, n int) int {
	for ctx.Err() == nil {
		g.mu.Lock()
		shut, trying, wait, changed := g.pause > 0, g.trying, time.Until(g.until), g.changed
		g.mu.Unlock()
		if !shut {
			return n
		}
		if !trying && wait <= 0 {
			return 1
		}
		waiting, cancel := ctx, func() {}
		if !trying {
			waiting, cancel = context.WithTimeout(ctx, wait)
		}
		select {
		case <-changed:
		case <-waiting.Done():
		}
		cancel()
	}
	return 0
}

// enter reports whether a call may be made now, and to which round it belongs. It must be told what came of it by one of open, shut
// and leave.
func (g *gate) enter() (round int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pause > 0 {
		if g.trying || time.Now().Before(g.until) {
			return 0, false
		}
		g.trying = true
	}
	return g.round, true
}

// open notes that a call was answered by a service that takes events.
func (g *gate) open(round int) {
	g.change(round, func() bool { return g.pause > 0 }, func() {
		g.pause = 0
		g.told(true, nil)
	})
}

// shut notes that a call found that the service takes nothing.
func (g *gate) shut(round int, why error) {
	g.change(round, func() bool { return true }, func() {
		if g.pause == 0 {
			g.told(false, why)
		}
		g.round++
		g.pause = min(max(2*g.pause, g.least), g.most)
		g.until = time.Now().Add(g.pause)
	})
}

// leave notes that a call found nothing out.
func (g *gate) leave(round int) {
	g.change(round, func() bool { return g.trying }, func() {})
}

// change changes the gate, if the round is the current one and a change is needed.
func (g *gate) change(round int, needed func() bool, change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if round != g.round || !needed() {
		return
	}
	change()
	g.trying = false
	close(g.changed)
	g.changed = make(chan struct{})
}
