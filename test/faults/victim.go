package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/zstats/zstats/test/harness"
)

// victim is a process that faults happen to.
type victim interface {
	Kill()
	WaitUp(ctx context.Context) error
	Stop(within time.Duration) error
	Restart() error
	WaitReady(ctx context.Context) error
	Signal(s syscall.Signal) error
	Output() string
}

// service is a subcommand of zstats.
type service struct{ *harness.Service }

func (s service) Signal(sig syscall.Signal) error { return s.Service.Signal(sig) }

// node is a NATS server.
type node struct{ *harness.Node }

// WaitUp waits for nothing: how a server ends says nothing, see Stop.
func (n node) WaitUp(context.Context) error { return nil }

func (n node) Restart() error                  { return n.Start() }
func (n node) Signal(sig syscall.Signal) error { return n.Node.Signal(sig) }

// Stop asks the server to end. NATS exits with 1 after SIGTERM, which is no fault.
func (n node) Stop(within time.Duration) error {
	_ = n.Node.Stop(within)
	return nil
}

// stopWithin is how long a graceful stop may take.
const stopWithin = 10 * time.Second

// strike does to a victim what a step says, for as long as it says. Whatever the step, the victim runs again in the end.
func strike(ctx context.Context, v victim, s step) error {
	switch s.kind {
	case kill:
		v.Kill()
		wait(ctx, s.lasts)
		return v.Restart()
	case terminate:
		if err := v.WaitUp(ctx); err != nil { // an earlier step may have started it just now
			return err
		}
		if err := v.Stop(stopWithin); err != nil {
			return fmt.Errorf("%s did not stop well: %w\n%s", s.victim, err, v.Output())
		}
		wait(ctx, s.lasts)
		return v.Restart()
	case pause:
		if err := v.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		wait(ctx, s.lasts)
		return v.Signal(syscall.SIGCONT)
	}
	return fmt.Errorf("%s is nothing that a process suffers", s.kind)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
