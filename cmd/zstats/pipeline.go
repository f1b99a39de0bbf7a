package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/assembler"
	"github.com/zstats/zstats/collector"
	"github.com/zstats/zstats/ingest"
	"github.com/zstats/zstats/notifier"
	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/telemetry"
	"github.com/zstats/zstats/writer"
)

// workerID names the only worker of each stage in this process's own log.
const workerID = "run"

// pipeline is the services of one process, wired together.
type pipeline struct {
	flags    *runFlags
	dir      *dataDir
	bus      *bus.Bus
	log      *zap.Logger
	registry *prometheus.Registry

	ingest   *ingest.Ingest
	notifier *notifier.Notifier
	admin    *telemetry.Admin
	// phases are the parts in the order in which they stop.
	phases [][]actor
	checks []telemetry.Check
}

// build makes all services. Nothing runs yet, but the addresses are taken.
func (p *pipeline) build(ctx context.Context, tokens *account.Tokens, selfToken string) error {
	front, appenders, err := p.buildIngest(ctx, tokens)
	if err != nil {
		return err
	}
	stages, err := p.buildStages(ctx)
	if err != nil {
		return err
	}
	if p.admin, err = telemetry.NewAdmin(telemetry.AdminOptions{
		Addr: p.flags.adminAddr, Registry: p.registry, Checks: p.checks, Pprof: p.flags.pprof,
	}); err != nil {
		return err
	}
	if p.flags.collectSelf {
		c, err := p.buildCollector(selfToken)
		if err != nil {
			return err
		}
		// It stops first, while ingest still takes what it has.
		p.phases = append(p.phases, []actor{{"collector", c.Run}})
	}
	// Ingest before the appenders: what it took must still be stored.
	p.phases = append(p.phases, front, appenders, stages, []actor{{"admin server", p.admin.Run}})
	return nil
}

func (p *pipeline) buildIngest(ctx context.Context, tokens *account.Tokens) (front, appenders []actor, err error) {
	raw, err := bus.NewAppender(bus.AppenderOptions{Bus: p.bus, Stream: event.Raw, Logger: p.log, Registerer: p.registry})
	if err != nil {
		return nil, nil, err
	}
	dead, err := bus.NewAppender(bus.AppenderOptions{Bus: p.bus, Stream: event.Dead, Logger: p.log, Registerer: p.registry})
	if err != nil {
		return nil, nil, err
	}
	marks, err := p.bus.Bucket(ctx, event.ResyncBucket, p.flags.marksAge())
	if err != nil {
		return nil, nil, err
	}
	p.ingest, err = ingest.New(ingest.Options{
		Addr: p.flags.ingestAddr, Tokens: tokens, Raw: raw, Dead: dead, Log: p.bus, Marks: marks,
		Partitions: event.DefaultPartitions, HeadLimit: p.flags.headLimit, Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, nil, err
	}
	p.check("ingest", p.ingest.Ready)
	return []actor{{"ingest", p.ingest.Run}}, []actor{{"appender of RAW", raw.Run}, {"appender of DEAD", dead.Run}}, nil
}

func (p *pipeline) buildStages(ctx context.Context) ([]actor, error) {
	marks, err := p.bus.Bucket(ctx, event.ResyncBucket, p.flags.marksAge())
	if err != nil {
		return nil, err
	}
	a, err := assembler.New(assembler.Options{
		Bus: p.bus, Marks: marks, Partitions: event.DefaultPartitions, ID: workerID, ReannouncePeriod: reannounce,
		Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	w, err := writer.New(writer.Options{
		Bus: p.bus, Dir: p.dir.files(), Partitions: event.DefaultPartitions, ID: workerID, Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.notifier, err = notifier.New(notifier.Options{Addr: p.flags.notifierAddr, Log: p.bus, Logger: p.log, Registerer: p.registry})
	if err != nil {
		return nil, fmt.Errorf("notifier: %w", err)
	}
	trimmer, err := bus.NewTrimmer(bus.TrimmerOptions{
		Bus: p.bus, Partitions: event.DefaultPartitions, Rules: p.flags.trimRules(), Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.check("assembler", a.Ready)
	p.check("writer", w.Ready)
	p.check("notifier", p.notifier.Ready)
	return []actor{
		{"assembler", a.Run}, {"writer", w.Run}, {"notifier", p.notifier.Run}, {"trimmer", trimmer.Run},
	}, nil
}

// buildCollector makes a collector that scrapes this process and sends to its own ingest.
func (p *pipeline) buildCollector(token string) (*collector.Collector, error) {
	c, err := collector.New(collector.Options{
		Server:   "http://" + dialable(p.ingest.Addr().String()),
		Token:    token,
		Targets:  []collector.Target{{Job: "zstats", URL: "http://" + dialable(p.admin.Addr()) + "/metrics"}},
		Interval: p.flags.interval, Flush: p.flags.interval, StopTimeout: time.Second, Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return c, nil
}

func (p *pipeline) check(name string, ready func() error) {
	p.checks = append(p.checks, telemetry.Check{Name: name, Ready: ready})
}

// dialable turns the address of a listener into one that can be called: a wildcard becomes loopback.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
