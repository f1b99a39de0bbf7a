package e2e

import (
	"errors"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// TestRunByDefault starts zstats as `make run` does: it makes an account with a token, shows the token once, and ships its own
// metrics to itself. It is stopped under way and goes on after a restart.
func TestRunByDefault(t *testing.T) {
	z, err := harness.StartZstats(t.Context(), zstatsBinary, t.TempDir(), "--collect-self.interval", "1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Kill() })
	shown := regexp.MustCompile(`its token is ([A-Z2-7]{20,}) \(shown this once`)
	if !shown.MatchString(z.Output()) {
		t.Errorf("no token is shown:\n%s", z.Output())
	}
	eventually.Succeeds(t, "zstats ships its own metrics", func() error { return ownScrapes(t, z, 3) })
	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatalf("stop: %v\n%s", err, z.Output())
	}
	before := countScrapes(t, z)
	if err := z.Restart(t.Context(), zstatsBinary, "--collect-self.interval", "1s"); err != nil {
		t.Fatal(err)
	}
	if shown.MatchString(z.Output()) {
		t.Errorf("the token is shown again:\n%s", z.Output())
	}
	eventually.Succeeds(t, "it goes on", func() error { return ownScrapes(t, z, before+2) })
	if err := z.Stop(10 * time.Second); err != nil {
		t.Errorf("stop: %v\n%s", err, z.Output())
	}
}

func ownScrapes(t *testing.T, z *harness.Zstats, n int) error {
	if countScrapes(t, z) < n {
		return errors.New("not enough scrapes")
	}
	return nil
}

// countScrapes reads all scrapes of the account "default" whole.
func countScrapes(t *testing.T, z *harness.Zstats) int {
	t.Helper()
	n := 0
	files := os.DirFS(z.Files())
	for place, err := range archive.Scrapes(files) {
		if err != nil {
			t.Fatal(err)
		}
		meta, samples, err := archive.Read(files, place.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if meta.Target.Account != "default" || len(samples) < 100 {
			t.Errorf("%s is of account %q and has %d samples", place.Dir, meta.Target.Account, len(samples))
		}
		n++
	}
	return n
}
