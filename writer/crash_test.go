package writer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/volume"
)

// The environment of a test binary that is run to be killed.
const (
	crashDir  = "ZSTATS_WRITER_CRASH_DIR"  // of the log and the files
	crashStep = "ZSTATS_WRITER_CRASH_STEP" // where it is killed
)

func logDir(dir string) string   { return filepath.Join(dir, "log") }
func filesDir(dir string) string { return filepath.Join(dir, "files") }

func steps() []volume.Step {
	return []volume.Step{volume.Staged, volume.Written, volume.Durable, volume.Placed, volume.Named}
}

// runAndCrash runs a writer on the log and the files in dir, which kills its process when it comes to a step for the second
// time: in its first batch where the step is taken for each scrape, else in its second.
func runAndCrash(dir string) {
	b, _, err := openLog(context.Background(), logDir(dir))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	seen := 0
	w, err := New(Options{Bus: b, Dir: filesDir(dir), Partitions: bustest.Partitions, ID: "w1", MaxBatch: 8, Parallel: 1,
		hook: func(s volume.Step) error {
			if s == volume.Step(os.Getenv(crashStep)) {
				seen++
			}
			if seen == 2 {
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return nil
		}})
	if err == nil {
		err = w.Run(context.Background())
	}
	fmt.Println("the writer was not killed:", err)
	os.Exit(1)
}

// TestKilledAtEachStep kills a writer, and the log with it, at each step. Another one goes on.
func TestKilledAtEachStep(t *testing.T) {
	inputs := node(t, 4, 4)
	for _, step := range steps() {
		t.Run(string(step), func(t *testing.T) {
			dir := t.TempDir()
			prepareLog(t, dir, inputs)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), crashDir+"="+dir, crashStep+"="+string(step))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the writer was not killed: %v\n%s", err, out)
			}
			leftovers, err := os.ReadDir(filepath.Join(filesDir(dir), archive.TempDir))
			if err != nil || len(leftovers) == 0 {
				t.Errorf("the killed writer has left %v, %v; want its claim", leftovers, err)
			}
			checkGoesOn(t, dir, inputs)
		})
	}
}

func prepareLog(t *testing.T, dir string, inputs []input) {
	t.Helper()
	b, stop, err := openLog(t.Context(), logDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	feed(t, b, inputs)
}

// checkGoesOn runs a new writer and checks that it leaves each scrape with one pair of files and one event, and no more.
func checkGoesOn(t *testing.T, dir string, inputs []input) {
	t.Helper()
	b := newLog(t, logDir(dir))
	stop := run(t, newWriter(t, Options{Bus: b, Dir: filesDir(dir)}))
	checkEvents(t, b, filesDir(dir), inputs)
	stop()
	checkTree(t, filesDir(dir), inputs)
	left, err := os.ReadDir(filepath.Join(filesDir(dir), archive.TempDir))
	if err != nil || len(left) > 0 {
		t.Errorf("leftovers: %v, %v", left, err)
	}
}

// TestFailureAtEachStep fails a writer once at each step, as a disk might. It tries again by itself.
func TestFailureAtEachStep(t *testing.T) {
	inputs := node(t, 4, 4)
	for _, step := range steps() {
		t.Run(string(step), func(t *testing.T) {
			b := newLog(t, t.TempDir())
			feed(t, b, inputs)
			dir := t.TempDir()
			seen := 0
			w := newWriter(t, Options{Bus: b, Dir: dir, MaxBatch: 8, Parallel: 1, hook: func(s volume.Step) error {
				if s == step {
					seen++
				}
				if s == step && seen == 2 {
					return errors.New("the disk has failed")
				}
				return nil
			}})
			stop := run(t, w)
			checkEvents(t, b, dir, inputs)
			stop()
			checkTree(t, dir, inputs)
			want := map[string]float64{"scrapes": 16, "repeats": 0}
			switch step {
			case volume.Placed:
				want = map[string]float64{"scrapes": 14, "repeats": 2}
			case volume.Named:
				want = map[string]float64{"scrapes": 8, "repeats": 8}
			}
			checkCounts(t, w, want)
		})
	}
}
