package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/harness"
)

// measureBalance measures, on three NATS servers, how long it takes until the partitions lie evenly with the assemblers after
// one has come, was asked to stop, or was killed.
func measureBalance(ctx context.Context, o options, root string) error {
	natsBinary, err := harness.BuildNATS(ctx, root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(root, "balance-")
	if err != nil {
		return err
	}
	c, err := startCluster(ctx, o.binary, natsBinary, dir, 3, 1)
	defer c.kill()
	if err != nil {
		return err
	}
	if err := c.awaitBalance(ctx); err != nil {
		return err
	}
	comes := func() error { return c.addAssembler(ctx) }
	for range o.runs {
		for _, change := range []struct {
			what string
			do   func() error
		}{
			{"a second assembler comes", comes},
			{"a third comes", comes},
			{"a fourth comes", comes},
			{"one of four is killed", func() error { c.takeLast().Kill(); return nil }},
			{"one of three is asked to stop", func() error { return c.takeLast().Stop(15 * time.Second) }},
			{"one of two is killed", func() error { c.takeLast().Kill(); return nil }},
		} {
			start := time.Now()
			if err := change.do(); err != nil {
				return fmt.Errorf("%s: %w", change.what, err)
			}
			if err := c.awaitBalance(ctx); err != nil {
				return fmt.Errorf("%s: %w", change.what, err)
			}
			fmt.Printf("%-32s %v\n", change.what, time.Since(start).Round(10*time.Millisecond))
		}
	}
	_, err = c.stop()
	return err
}

// takeLast takes the last assembler from those that are to be alive.
func (c *cluster) takeLast() assembler {
	last := c.assemblers[len(c.assemblers)-1]
	c.assemblers = c.assemblers[:len(c.assemblers)-1]
	return last
}

// awaitBalance waits until the assemblers that are to be alive, and no others, own all partitions in even shares.
func (c *cluster) awaitBalance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	b, err := bus.Connect(bus.Options{URL: c.nats.URL(), Name: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	for {
		err := c.balanced(ctx, b)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within two minutes: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// balanced returns nil if the partitions are spread evenly, by their last checkpoints.
func (c *cluster) balanced(ctx context.Context, b *bus.Bus) error {
	all, err := b.StageStatus(ctx, bus.AssemblerStage(), event.DefaultPartitions)
	if err != nil {
		return err
	}
	owned := make(map[string]int)
	for _, p := range all {
		owned[p.Worker]++
	}
	low := event.DefaultPartitions / len(c.assemblers)
	for _, a := range c.assemblers {
		if n := owned[a.id]; n < low || n > low+1 {
			return fmt.Errorf("%s owns %d partitions", a.id, n)
		}
		delete(owned, a.id)
	}
	if len(owned) > 0 {
		return fmt.Errorf("others own some: %v", owned)
	}
	return nil
}
