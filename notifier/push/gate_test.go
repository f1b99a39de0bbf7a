package push

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		g := newGate(time.Second, 4*time.Second, func(open bool, _ error) { told = append(told, open) })
		no := errors.New("no")
		pass := func(want int, after time.Duration) {
			t.Helper()
			start := time.Now()
			if n := g.pass(t.Context(), 10); n != want || time.Since(start) != after {
				t.Errorf("%d may pass after %s, want %d after %s", n, time.Since(start), want, after)
			}
		}
		enter := func() int {
			t.Helper()
			round, ok := g.enter()
			if !ok {
				t.Fatal("a call may not be made")
			}
			return round
		}
		pass(10, 0)
		first, other := enter(), enter()
		g.shut(first, no)
		g.shut(other, no) // known already
		if _, ok := g.enter(); ok {
			t.Error("a call may be made in the pause")
		}
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			pass(1, pause)
			g.shut(enter(), no)
		}
		g.open(first) // of an earlier round
		pass(1, 4*time.Second)

		trying := enter()
		if _, ok := g.enter(); ok {
			t.Error("two calls may be made to find out")
		}
		go func() {
			time.Sleep(7 * time.Second)
			g.leave(trying)
		}()
		pass(1, 7*time.Second) // while the other is under way, nobody may pass
		g.open(enter())
		pass(10, 0)
		g.open(enter())
		if len(told) != 2 || told[0] || !told[1] {
			t.Errorf("told %t, want false and true", told)
		}

		g.shut(enter(), no)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n := g.pass(ctx, 10); n != 0 {
			t.Errorf("%d may pass at the end", n)
		}
	})
}
