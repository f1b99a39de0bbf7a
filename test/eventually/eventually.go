// Package eventually waits in tests for what other goroutines and processes bring about.
package eventually

import (
	"context"
	"testing"
	"time"
)

// patience bounds every wait: it is longer than anything takes on a busy machine. Nothing is asserted about time.
const patience = 2 * time.Minute

const interval = 20 * time.Millisecond

// Succeeds waits until check returns nil, and ends the test with its last error if that takes too long.
func Succeeds(t testing.TB, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not so after %s: %v", what, patience, err)
		}
	}
}
