//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Variable is the environment variable that chooses where the process ends.
const Variable = "ZSTATS_FAILPOINT"

// Hit ends the process here if it is told to.
func Hit(name string) {
	if !slices.Contains(names(), name) {
		misused("failpoint %q is not in the table of names", name)
	}
	p := chosen()
	if p == nil || p.name != name || p.hits.Add(1) != p.at {
		return
	}
	time.Sleep(p.after)
	fmt.Fprintf(os.Stderr, "failpoint %s: the process kills itself\n", name)
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		misused("kill this process: %v", err)
	}
	select {} // the signal may take a moment
}

// HitIn is Hit for one of several things that pass the same place, as streams or stages do: its name is name/part.
func HitIn(name, part string) { Hit(name + "/" + part) }

// point is where the process is to end.
type point struct {
	choice
	hits atomic.Int64
}

// names and chosen are made once: neither changes.
var (
	names  = sync.OnceValue(Names)
	chosen = sync.OnceValue(func() *point {
		text := os.Getenv(Variable)
		if text == "" {
			return nil
		}
		c, err := parse(text)
		if err == nil && !slices.Contains(names(), c.name) {
			err = fmt.Errorf("failpoint %q is not in the table of names", c.name)
		}
		if err != nil {
			misused("%s: %v", Variable, err)
		}
		return &point{choice: c}
	})
)

// misused panics where nothing recovers: a service must not take this for a bad message.
func misused(format string, args ...any) {
	go panic(fmt.Sprintf(format, args...))
	select {}
}
