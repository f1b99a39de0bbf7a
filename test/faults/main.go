// Command faults runs zstats under load while faults happen to its processes and disks, and judges what came out: everything that
// was acknowledged must be written and notified exactly once, or lie in the dead letters with a reason.
//
// The faults come from a seed, which is printed; the same seed and duration bring the same faults again.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/zstats/zstats/test/harness"
)

type options struct {
	seed     uint64
	duration time.Duration
	modes    string
	disks    bool
	planOnly bool
	keep     bool
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the faults; 0 for a new one")
	flag.DurationVar(&o.duration, "duration", 3*time.Minute, "how long faults happen, all modes together")
	flag.StringVar(&o.modes, "modes", "single,cluster", "what to run: 'zstats run' (single), two of each service alone (cluster), these and four assemblers on three NATS servers (replicated)")
	flag.BoolVar(&o.disks, "disks", os.Geteuid() == 0, "fill small disks too, which takes root")
	flag.BoolVar(&o.planOnly, "plan", false, "print the faults of the first mode and end")
	flag.BoolVar(&o.keep, "keep", false, "keep the data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	root, err := os.MkdirTemp("", "zstats-faults-")
	if err != nil {
		return err
	}
	var b binaries
	if b.zstats, err = harness.Build(ctx, root, "./cmd/zstats"); err != nil {
		return err
	}
	if b.nats, err = harness.BuildNATS(ctx, root); err != nil {
		return err
	}
	modes := strings.Split(o.modes, ",")
	for _, mode := range modes {
		dir := filepath.Join(root, mode)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := o.trial(ctx, mode, b, dir, o.duration/time.Duration(len(modes))); err != nil {
			return fmt.Errorf("%s, seed %d: %w; everything is kept in %s", mode, o.seed, err, root)
		}
	}
	if o.keep {
		fmt.Println("everything is kept in", root)
		return nil
	}
	return os.RemoveAll(root)
}

func (o *options) trial(ctx context.Context, mode string, b binaries, dir string, length time.Duration) (err error) {
	var w *world
	switch mode {
	case "single":
		w, err = singleWorld(b, dir, o.disks)
	case "cluster":
		w, err = clusterWorld(b, dir, size{nats: 1, ingest: 2, assembler: 2, writer: 2, notifier: 2})
	case "replicated":
		w, err = clusterWorld(b, dir, size{nats: 3, ingest: 2, assembler: 4, writer: 2, notifier: 2})
	default:
		return fmt.Errorf("there is no mode %q", mode)
	}
	defer func() { w.close(err != nil || o.keep) }()
	if err != nil {
		return err
	}
	steps := plan(o.seed, length, w.choices)
	fmt.Printf("%s: seed %d, %s, %d faults\n", mode, o.seed, length, len(steps))
	if o.planOnly {
		for _, s := range steps {
			fmt.Println(s)
		}
		return nil
	}
	return newTrial(w, o.seed, os.Stdout).run(ctx, steps, length)
}
