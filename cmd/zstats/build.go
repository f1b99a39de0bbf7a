package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/zstats/zstats/assembler"
	"github.com/zstats/zstats/collector"
	"github.com/zstats/zstats/ingest"
	"github.com/zstats/zstats/notifier"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/keypair"
	"github.com/zstats/zstats/writer"
)

// buildAll makes all services and, if it is wanted, a collector of their own metrics.
func (p *process) buildAll() error {
	// The parts that hand work on stop before those that take it.
	in, err := p.newIngest()
	if err != nil {
		return err
	}
	a, err := p.newAssembler()
	if err != nil {
		return err
	}
	w, err := p.newWriter()
	if err != nil {
		return err
	}
	n, err := p.newNotifier()
	if err != nil {
		return err
	}
	if p.settings.collectSelf {
		c, err := p.newCollector(in.service.Addr())
		if err != nil {
			return err
		}
		p.phases = append(p.phases, []actor{{"collector", c.Run}}) // first, while ingest still takes what it has
	}
	keepers, err := p.keepers(p.settings.rawRule(), p.settings.scrapesRule(), p.settings.eventsRule())
	if err != nil {
		return err
	}
	old, err := p.newRetention()
	if err != nil {
		return err
	}
	pushers, err := p.pushers(p.settings.files())
	if err != nil {
		return err
	}
	last := slices.Concat([]actor{{"assembler", a.Run}, {"writer", w.Run}, {"notifier", n.Run}}, keepers, old, pushers)
	p.phases = append(p.phases, in.front(), in.appenders, last)
	p.introduce(in.service.Addr(), n.Addr())
	return nil
}

// buildIngest makes the process of `zstats ingest`.
func (p *process) buildIngest() error {
	in, err := p.newIngest()
	if err != nil {
		return err
	}
	p.phases = append(p.phases, in.front(), in.appenders)
	return nil
}

// buildAssembler makes the process of `zstats assembler`.
func (p *process) buildAssembler() error {
	a, err := p.newAssembler()
	if err != nil {
		return err
	}
	keepers, err := p.keepers(p.settings.rawRule())
	if err != nil {
		return err
	}
	p.phases = append(p.phases, append([]actor{{"assembler", a.Run}}, keepers...))
	return nil
}

// buildWriter makes the process of `zstats writer`.
func (p *process) buildWriter() error {
	w, err := p.newWriter()
	if err != nil {
		return err
	}
	keepers, err := p.keepers(p.settings.scrapesRule(), p.settings.eventsRule())
	if err != nil {
		return err
	}
	old, err := p.newRetention()
	if err != nil {
		return err
	}
	p.phases = append(p.phases, slices.Concat([]actor{{"writer", w.Run}}, keepers, old))
	return nil
}

// buildNotifier makes the process of `zstats notifier`.
func (p *process) buildNotifier() error {
	n, err := p.newNotifier()
	if err != nil {
		return err
	}
	pushers, err := p.pushers("")
	if err != nil {
		return err
	}
	p.phases = append(p.phases, append([]actor{{"notifier", n.Run}}, pushers...))
	return nil
}

// intake is ingest with the appenders that it stores by, which must outlast it.
type intake struct {
	service   *ingest.Ingest
	appenders []actor
}

func (i *intake) front() []actor { return []actor{{"ingest", i.service.Run}} }

func (p *process) newIngest() (*intake, error) {
	raw, err := bus.NewAppender(bus.AppenderOptions{Bus: p.bus, Stream: event.Raw, Logger: p.log, Registerer: p.registry})
	if err != nil {
		return nil, err
	}
	dead, err := bus.NewAppender(bus.AppenderOptions{Bus: p.bus, Stream: event.Dead, Logger: p.log, Registerer: p.registry})
	if err != nil {
		return nil, err
	}
	tokens, err := p.accounts()
	if err != nil {
		return nil, err
	}
	tlsConfig, err := p.serverTLS(p.settings.ingestTLS)
	if err != nil {
		return nil, err
	}
	i, err := ingest.New(ingest.Options{
		Addr: p.settings.ingestAddr, TLS: tlsConfig, Tokens: tokens, Raw: raw, Dead: dead, Log: p.bus, Marks: p.marks,
		Partitions: event.DefaultPartitions, HeadLimit: p.settings.headLimit, MinPoll: p.settings.ingestMinPoll,
		Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, bindError(err, "ingest.addr")
	}
	p.check("ingest", i.Ready)
	return &intake{service: i, appenders: []actor{{"appender of RAW", raw.Run}, {"appender of DEAD", dead.Run}}}, nil
}

// serverTLS returns a configuration that serves a certificate from files, or nil if there is none.
func (p *process) serverTLS(files keyFiles) (*tls.Config, error) {
	if files.cert == "" {
		return nil, nil
	}
	pair, err := keypair.Load(files.cert, files.key, p.log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.Get}, nil
}

func (p *process) newAssembler() (*assembler.Assembler, error) {
	s := p.settings
	a, err := assembler.New(assembler.Options{
		Bus: p.bus, Marks: p.marks, Partitions: event.DefaultPartitions, ID: p.workerID(), ReannouncePeriod: reannounce,
		CacheBytes: int64(s.assemblerCache), MaxBatch: s.assemblerBatch,
		Strict: func(account string) bool { return slices.Contains(s.strict, account) },
		Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.check("assembler", a.Ready)
	return a, nil
}

func (p *process) newWriter() (*writer.Writer, error) {
	w, err := writer.New(writer.Options{
		Bus: p.bus, Dir: p.settings.files(), Partitions: event.DefaultPartitions, ID: p.workerID(),
		CacheBytes: int64(p.settings.writerCache), Reserve: int64(p.settings.writerReserve), Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.check("writer", w.Ready)
	return w, nil
}

func (p *process) newNotifier() (*notifier.Notifier, error) {
	s := p.settings
	o := notifier.Options{
		Addr: s.notifierAddr, Log: p.bus, CertFile: s.notifierTLS.cert, KeyFile: s.notifierTLS.key, Logger: p.log, Registerer: p.registry,
	}
	if s.notifierRequireToken {
		var err error
		if o.Tokens, err = p.accounts(); err != nil {
			return nil, err
		}
	}
	n, err := notifier.New(o)
	if err != nil {
		return nil, bindError(fmt.Errorf("notifier: %w", err), "notifier.addr")
	}
	p.check("notifier", n.Ready)
	return n, nil
}

// keepers keep the log in order: a trimmer by the rules, and a monitor of all stages, as each of them may be the one without a process.
func (p *process) keepers(rules ...bus.TrimRule) ([]actor, error) {
	t, err := bus.NewTrimmer(bus.TrimmerOptions{
		Bus: p.bus, Partitions: event.DefaultPartitions, Rules: rules, Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	m, err := bus.NewMonitor(bus.MonitorOptions{
		Bus: p.bus, Stages: []bus.Stage{bus.AssemblerStage(), bus.WriterStage()}, Partitions: event.DefaultPartitions,
		Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	return []actor{{"trimmer", t.Run}, {"monitor", m.Run}}, nil
}

// newCollector makes a collector that scrapes this process and sends to its own ingest.
func (p *process) newCollector(ingestAddr net.Addr) (*collector.Collector, error) {
	entries, err := p.accountEntries()
	if err != nil {
		return nil, err
	}
	_, token, _ := strings.Cut(entries[0], ":")
	scheme := "http://"
	o := collector.Options{
		Token:    token,
		Targets:  []collector.Target{{Job: "zstats", URL: "http://" + dialable(p.admin.Addr()) + "/metrics"}},
		Interval: p.settings.collectSelfInterval, Flush: p.settings.collectSelfInterval / 5,
		StopTimeout: time.Second, Logger: p.log, Registerer: p.registry,
	}
	if p.settings.ingestTLS.cert != "" {
		scheme = "https://"
		if o.Client, err = (&tlsFlags{insecure: true}).client(); err != nil { // it speaks to its own process
			return nil, err
		}
	}
	o.Server = scheme + dialable(ingestAddr.String())
	c, err := collector.New(o)
	if err != nil {
		return nil, fmt.Errorf("the collector of zstats' own metrics: %w", err)
	}
	return c, nil
}

// workerID names this process among the workers of its stages. The embedded log has no others.
func (p *process) workerID() string {
	switch {
	case p.settings.workerID != "":
		return p.settings.workerID
	case p.server != nil:
		return "run"
	}
	if p.madeUpID == "" {
		host, _ := os.Hostname() // only a help for people
		p.madeUpID = madeUpID(host)
	}
	return p.madeUpID
}

// dialable turns the address of a listener into one that can be called: a wildcard becomes loopback.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// bindError adds to an error of listening which setting chooses the address.
func bindError(err error, setting string) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w: choose another address with --%s", err, setting)
	}
	return err
}
