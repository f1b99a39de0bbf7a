package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/zstats/zstats/test/harness"
)

// measureReplays makes the files of a measurement again from its log, from either stream and with one processor and with all, and
// compares them with it. The live run took live of CPU.
func measureReplays(ctx context.Context, o options, z *harness.Zstats, l *load, live time.Duration) error {
	for _, from := range []string{"scrapes", "raw"} {
		for _, how := range [][]string{{"--to", filepath.Join(z.Dir, "from-"+from)}, {"--verify", z.Files()}} {
			if err := measureReplay(ctx, o, z, l, live, append([]string{"--from", from, "--cpus", "1"}, how...)); err != nil {
				return err
			}
		}
	}
	return nil
}

func measureReplay(ctx context.Context, o options, z *harness.Zstats, l *load, live time.Duration, args []string) error {
	start := time.Now()
	p, err := harness.Start(o.binary, append([]string{"replay", "--data-dir", z.Dir}, args...)...)
	if err != nil {
		return err
	}
	if err := p.Wait(10 * time.Minute); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Output())
	}
	wall := time.Since(start)
	cpu, peak := p.Usage()
	n := float64(l.scrapes)
	fmt.Printf("  replay %s %-7s %-8s %7.0f scrapes/s, %4.0f times as fast as %d targets were scraped; %7.0f per CPU second, %4.1f times the live run's; %5.2f CPU s/M samples, peak %4.0f MB\n",
		args[0], args[1], args[4], n/wall.Seconds(), l.recorded.Seconds()/wall.Seconds(), l.targets, n/cpu.Seconds(),
		live.Seconds()/cpu.Seconds(), cpu.Seconds()/float64(l.samples)*1e6, mb(peak))
	return nil
}
