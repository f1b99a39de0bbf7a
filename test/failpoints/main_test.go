// Package failpoints kills real processes at every failpoint of package failpoint and judges what is there after a restart.
package failpoints

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/test/harness"
)

const (
	account = "acme"
	token   = "failpoints-token"
	// patience bounds every wait. Nothing is asserted about time.
	patience = time.Minute
)

// tagged is the binary with failpoints, planted a data directory with messages that can't be processed. Both are made once.
var tagged, planted string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "failpoints:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "zstats-failpoints-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if tagged, err = harness.Build(ctx, dir, "../../cmd/zstats", "-tags", "failpoints"); err != nil {
		return 0, err
	}
	planted = filepath.Join(dir, "planted")
	if err := plant(ctx, planted); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// points are the failpoints of one process and the ones that are started after it, in the form of ZSTATS_FAILPOINT.
type points []string

// env returns the environment of the next process.
func (p points) env() []string {
	if len(p) == 0 {
		return nil
	}
	return []string{"ZSTATS_FAILPOINT=" + p[0]}
}

// died checks that a process that has ended was killed by the first of the points, and returns the others.
func (p points) died(process *harness.Process) (points, error) {
	if len(p) == 0 {
		return nil, fmt.Errorf("the process ended by itself:\n%s", process.Output())
	}
	name, _, _ := strings.Cut(strings.ReplaceAll(p[0], "+", "#"), "#")
	if !process.Killed() || !strings.Contains(process.Output(), "failpoint "+name+": the process kills itself") {
		return nil, fmt.Errorf("the process ended, but not at %s:\n%s", p[0], process.Output())
	}
	return p[1:], nil
}

var errNotYet = errors.New("not yet")
