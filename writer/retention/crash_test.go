package retention

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/volume"
)

// The environment of a test binary that is run to be killed.
const (
	crashDir  = "ZSTATS_RETENTION_CRASH_DIR"
	crashStep = "ZSTATS_RETENTION_CRASH_STEP"
)

// removeAndCrash removes what is old in dir and kills its process at a step, at the second removal where it comes to that.
func removeAndCrash(dir string) {
	step, seen := volume.Step(os.Getenv(crashStep)), 0
	r, err := New(Options{Dir: dir, Limits: Limits{Age: 2 * h}, now: func() time.Time { return now }, hook: func(s volume.Step) error {
		if s == step {
			seen++
		}
		if seen == 2 || seen == 1 && s == volume.Gone {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}})
	if err == nil {
		err = r.Run(context.Background())
	}
	fmt.Println("it was not killed:", err)
	os.Exit(1)
}

// TestKilledAtEachStep kills one that removes. There is no half scrape then, the lock is free, and the next one goes on; what
// was on its way out is swept with what writers leave.
func TestKilledAtEachStep(t *testing.T) {
	for _, step := range []volume.Step{volume.Moved, volume.Gone} {
		t.Run(string(step), func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, target("acme", "a:1.j"), 6*h, 5*h, 4*h, 3*h, h)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), crashDir+"="+dir, crashStep+"="+string(step))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v\n%s", err, out)
			}
			want := map[volume.Step][]string{
				volume.Moved: {"acme/a_1.j 4h0m0s", "acme/a_1.j 3h0m0s", "acme/a_1.j 1h0m0s"}, volume.Gone: {"acme/a_1.j 1h0m0s"},
			}
			wantLeft(t, dir, want[step]...)
			if moved, err := os.ReadDir(filepath.Join(dir, archive.TempDir)); err != nil || len(moved) == 0 {
				t.Errorf("temporary files: %v, %v; want what was on its way out", moved, err)
			}
			r := newRetention(t, Options{Dir: dir, Limits: Limits{Age: 2 * h}})
			turn(t, r)
			wantLeft(t, dir, "acme/a_1.j 1h0m0s")
			if n, err := r.volume.Sweep(); n != 1 || err != nil {
				t.Errorf("Sweep: %d, %v", n, err)
			}
			r.close()
			noLeftovers(t, dir)
		})
	}
}
