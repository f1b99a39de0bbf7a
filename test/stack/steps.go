package main

import (
	"context"
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/judge"
)

// step is something that happens to the stack.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are all of them, in order.
func (t *trial) steps() []step {
	return []step{
		{"assemblers 1 to 4, ingests 2 to 3, writers 1 to 2", t.scaled(4, 2, "ingest=3")},
		{"crash of an assembler and a writer", t.crashOf("assembler", "writer")},
		{"an assembler and a writer stand still", t.still("assembler", "writer")},
		{"a NATS server is cut off", t.cutOff("nats-2")},
		{"crash of a NATS server", t.crashOf("nats-1")},
		{"a NATS server stands still", t.still("nats-3")},
		{"crash of an ingest, the gateway and the notifier", t.crashOf("ingest", "gateway", "notifier")},
		{"assemblers 4 to 2, ingests 3 to 2, writers 2 to 1", t.scaled(2, 1)},
		{"all ingests stop, and start", t.withoutIngest},
		{"all NATS servers restart", t.natsRestart},
	}
}

// scaled brings the workers of the stages to numbers, and waits until these share the partitions.
func (t *trial) scaled(assemblers, writers int, others ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := t.s.up(ctx, append(others, count("assembler", assemblers), count("writer", writers))...); err != nil {
			return err
		}
		return t.withLog(ctx, func(b *bus.Bus) error {
			return judge.Await(ctx, patience, "partitions are spread", func() error {
				if err := spread(ctx, b, event.StageAssembler, assemblers); err != nil {
					return err
				}
				return spread(ctx, b, event.StageWriter, writers)
			})
		})
	}
}

// crashOf ends a container of each service; nobody starts them again but the engine.
func (t *trial) crashOf(services ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, service := range services {
			id, err := t.s.one(ctx, service)
			if err != nil {
				return err
			}
			if err := t.s.crash(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
}

// still has a container of each service stand still until everything flows without them, and go on then.
func (t *trial) still(services ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, service := range services {
			id, err := t.s.one(ctx, service)
			if err != nil {
				return err
			}
			if _, err := docker(ctx, "pause", id); err != nil {
				return err
			}
			defer t.goOn(ctx, id)
		}
		return judge.Await(ctx, patience, "every target flows without", t.flowing)
	}
}

// goOn has a container go on that stands still. One that doesn't is found in the end, when all must be healthy.
func (t *trial) goOn(ctx context.Context, id string) {
	if _, err := docker(context.WithoutCancel(ctx), "unpause", id); err != nil {
		fmt.Fprintln(t.out, err)
	}
	t.flow.Begin("going on")
}

// cutOff takes a NATS server from the network until everything flows without it, and waits then until it has caught up.
func (t *trial) cutOff(service string) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := t.s.one(ctx, service)
		if err != nil {
			return err
		}
		network := t.s.project + "_default"
		if _, err := docker(ctx, "network", "disconnect", network, id); err != nil {
			return err
		}
		flows := judge.Await(ctx, patience, "every target flows without it", t.flowing)
		if _, err := docker(context.WithoutCancel(ctx), "network", "connect", "--alias", service, network, id); err != nil {
			return err
		}
		t.flow.Begin(service + " is back")
		if flows != nil {
			return flows
		}
		return t.allCurrent(ctx)
	}
}

func (t *trial) allCurrent(ctx context.Context) error {
	return t.withLog(ctx, func(b *bus.Bus) error {
		return judge.Await(ctx, patience, "all copies are current", func() error { return current(ctx, b) })
	})
}

// withoutIngest stops all ingests, sees what collectors are answered then, and starts them again.
func (t *trial) withoutIngest(ctx context.Context) error {
	if err := t.s.call(ctx, "stop", "ingest"); err != nil {
		return err
	}
	if err := t.refused(ctx); err != nil {
		return err
	}
	return t.s.call(ctx, "start", "ingest")
}

// natsRestart restarts all NATS servers at once.
func (t *trial) natsRestart(ctx context.Context) error {
	if err := t.s.call(ctx, append([]string{"restart", "-t", "20"}, natsNodes()...)...); err != nil {
		return err
	}
	return t.allCurrent(ctx)
}
