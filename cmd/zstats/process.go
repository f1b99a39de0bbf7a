package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/telemetry"
)

// stopWithin is how long a process may take to stop.
const stopWithin = 9500 * time.Millisecond

// process is one process that runs services.
type process struct {
	name     string // the subcommand
	settings *settings
	out      io.Writer
	log      *zap.Logger
	registry *prometheus.Registry
	admin    *telemetry.Admin

	dir    *dataDir    // of `zstats run`
	server *bus.Server // embedded, or nil
	bus    *bus.Bus
	marks  *bus.Bucket
	tokens *account.Tokens // of those who are let in; nil until they are asked for
	// madeUpID is the worker's name, if none is given.
	madeUpID string

	// phases are the parts in the order in which they stop; the admin server stops after them.
	phases [][]actor
}

// newProcess takes the admin address; nothing else is touched yet.
func newProcess(name string, s *settings, out io.Writer) (*process, error) {
	log, err := telemetry.NewLogger(s.logLevel, s.logFormat)
	if err != nil {
		return nil, usage(err)
	}
	p := &process{name: name, settings: s, out: out, log: log, registry: telemetry.NewRegistry()}
	p.registry.MustRegister(buildInfo())
	p.admin, err = telemetry.NewAdmin(telemetry.AdminOptions{Addr: s.adminAddr, Registry: p.registry, Pprof: s.pprof})
	if err != nil {
		return nil, bindError(err, "admin.addr")
	}
	p.admin.SetState(errors.New("starting"))
	return p, nil
}

// buildInfo says which version runs.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "zstats_build_info", Help: "1, with the version that runs.", ConstLabels: prometheus.Labels{"version": versionString()},
	})
	g.Set(1)
	return g
}

// run opens the log, builds the services and runs them until ctx ends. The admin server answers all the while.
func (p *process) run(ctx context.Context, build func(*process) error) error {
	if os.Getenv("GOGC") == "" {
		// The live heap is small beside what passes through: collecting half as often saves more CPU than it costs memory.
		debug.SetGCPercent(200)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	admin := p.serveAdmin(ctx, cancel)
	err := p.serve(ctx, build)
	if adminErr := admin(); err == nil {
		err = adminErr
	}
	return err
}

// serveAdmin starts the admin server, which outlives ctx; its end ends ctx. The result stops it and returns its error.
func (p *process) serveAdmin(ctx context.Context, cancel context.CancelFunc) (stop func() error) {
	adminCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := p.admin.Run(adminCtx)
		cancel()
		ended <- err
	}()
	return func() error {
		end()
		return <-ended
	}
}

func (p *process) serve(ctx context.Context, build func(*process) error) error {
	err := p.open(ctx)
	if err == nil {
		err = build(p)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it was up
		}
		return err
	}
	p.admin.SetState(nil)
	p.phases = append(p.phases, []actor{{"reload", p.reload}})
	return runPhases(ctx, stopWithin, p.phases...)
}

// open opens the log, and makes what is missing of it. What others or the disk keep from being done is waited for.
func (p *process) open(ctx context.Context) error {
	if p.settings.natsURL == "" {
		if err := p.retry(ctx, noRoom, p.embed); err != nil {
			return err
		}
	}
	return p.retry(ctx, mayPass, p.connect)
}

// noRoom reports whether an error is that of a full disk. NATS tells of it in words only.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

// mayPass reports whether an error of the log may pass without anybody changing the configuration.
func mayPass(err error) bool {
	return !errors.Is(err, bus.ErrIncompatible) && !errors.Is(err, bus.ErrUnauthorized)
}

// retry does something for the log until it succeeds, fails for good or ctx ends. The process says meanwhile that it is not ready.
func (p *process) retry(ctx context.Context, passing func(error) bool, do func(context.Context) error) error {
	const longest = 5 * time.Second
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, longest) {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		p.admin.SetState(fmt.Errorf("the log can't be used yet: %w", err))
		p.log.Warn("the log can't be used yet, trying again", zap.Duration("pause", pause), zap.Error(err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// embed starts the embedded server on the data directory, unless it runs, and says there where tools can reach it.
func (p *process) embed(ctx context.Context) (err error) {
	if p.server == nil {
		p.server, err = bus.StartServer(ctx, bus.ServerOptions{
			Dir: p.dir.log(), Token: rand.Text(), Reserve: int64(p.settings.logReserve), Logger: p.log, Registerer: p.registry,
		})
		if err != nil {
			return err
		}
	}
	return p.dir.writeURL(p.server.URL())
}

func (p *process) connect(ctx context.Context) error {
	s := p.settings
	b, err := bus.Connect(bus.Options{
		URL: s.natsURL, Credentials: s.natsCredentials, Server: p.server, Name: "zstats " + p.name, Replicas: s.natsReplicas, Logger: p.log,
	})
	if err != nil {
		return err
	}
	err = b.EnsureStreams(ctx, event.Topology(s.limits()), event.DefaultPartitions)
	if err == nil {
		p.marks, err = b.Bucket(ctx, event.ResyncBucket, s.marksAge())
	}
	if err == nil {
		err = s.push.openPosition(ctx, b)
	}
	if err != nil {
		b.Close()
		return err
	}
	p.bus = b
	return nil
}

// close gives up what the process holds.
func (p *process) close() {
	if p.bus != nil {
		p.bus.Close()
	}
	if p.server != nil {
		p.dir.removeURL()
		p.server.Close()
	}
	if p.dir != nil {
		p.dir.close()
	}
}

// check makes the readiness of the process depend on a part.
func (p *process) check(name string, ready func() error) {
	p.admin.Add(telemetry.Check{Name: name, Ready: ready})
}
