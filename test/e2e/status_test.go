package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// statusOf runs `zstats status` with arguments.
func statusOf(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), zstatsBinary, append([]string{"status"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestStatus looks at a running pipeline and, when it has stopped, at what it left.
func TestStatus(t *testing.T) {
	z, err := harness.StartZstats(t.Context(), zstatsBinary, t.TempDir(), "--collect-self.interval", "1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Kill() })
	eventually.Succeeds(t, "zstats ships its own metrics", func() error { return ownScrapes(t, z, 2) })
	live := statusOf(t, "--data-dir", z.Dir, "--interval", "100ms", "--partitions")
	for _, want := range []string{"RAW", "SCRAPES", "EVENTS", "DEAD", "assembler", "writer", "run", "about 1 targets, 0 dead letters"} {
		if !strings.Contains(live, want) {
			t.Errorf("the status does not say %q:\n%s", want, live)
		}
	}
	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	var stopped struct {
		Stages []struct {
			Name    string
			Lag     int
			Workers []string
			Unowned int `json:"partitions_without_worker"`
		}
	}
	if err := json.Unmarshal([]byte(statusOf(t, "--data-dir", z.Dir, "--interval", "0", "--json")), &stopped); err != nil {
		t.Fatal(err)
	}
	if len(stopped.Stages) != 2 {
		t.Fatalf("status %+v", stopped)
	}
	for _, s := range stopped.Stages {
		if s.Lag != 0 || len(s.Workers) != 0 || s.Unowned != 64 {
			t.Errorf("after a clean stop: %+v", s)
		}
	}
}
