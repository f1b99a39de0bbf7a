package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/zstats/zstats/test/eventually"
)

// TestRetentionWaits has named positions hold back files: one until it has acknowledged their events, and another that never does,
// until nobody is to be waited for.
func TestRetentionWaits(t *testing.T) {
	old := []string{"--retention.age", "1s", "--retention.grace", "0s", "--retention.interval", "50ms"}
	z := startZstats(t, old...)
	c := notifierClient{t: t, addr: z.NotifierAddr}
	again := func(more ...string) {
		t.Helper()
		if err := z.Stop(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--account", account + ":" + token, "--collect-self=false"}, old...)
		if err := z.Restart(t.Context(), zstatsBinary, append(args, more...)...); err != nil {
			t.Fatal(err)
		}
	}
	left := func(a, b int) error {
		for name, want := range map[string]int{"a:1.j": a, "b:1.j": b} {
			if got := len(listTarget(t, z, name)); got != want {
				return fmt.Errorf("%d scrapes of %s are left, want %d", got, name, want)
			}
		}
		return nil
	}
	held := func(n int) func() error {
		return func() error {
			return says(t, z, fmt.Sprintf("zstats_retention_held_scrapes{account=%q} %d", account, n))
		}
	}
	made := func(name string) {
		t.Helper()
		m := c.member(name)
		c.waitMembers(name, 1)
		if err := m.Stop(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}

	const n = 4
	made("slow")
	a, b := newWireTarget("a:1.j", 1), newWireTarget("b:1.j", 2)
	ship(t, z.IngestAddr, a, n)
	eventually.Succeeds(t, "the first target is written", func() error { return left(n, 0) })
	ship(t, z.IngestAddr, b, n)
	eventually.Succeeds(t, "all but the newest of each are held", held(2*(n-1)))
	again()
	eventually.Succeeds(t, "they are held after a restart", held(2*(n-1)))
	if err := left(n, n); err != nil {
		t.Error(err)
	}
	c.take("slow", n)
	eventually.Succeeds(t, "what is acknowledged is removed", func() error { return left(1, n) })
	eventually.Succeeds(t, "the rest is held", held(n-1))
	c.take("slow", n)
	eventually.Succeeds(t, "all that is acknowledged is removed", func() error { return left(1, 1) })

	made("away")
	ship(t, z.IngestAddr, a, n)
	c.take("slow", n)
	eventually.Succeeds(t, "the other position is waited for", func() error {
		// The one that was there before goes if a pass comes when the new files are there and their events not yet.
		if held(n-1)() == nil && left(n, 1) == nil {
			return nil
		}
		return errors.Join(held(n)(), left(1+n, 1))
	})
	again("--retention.ignore-positions")
	eventually.Succeeds(t, "nobody is waited for", func() error { return left(1, 1) })
	if err := z.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
}
