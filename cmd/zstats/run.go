package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/telemetry"
)

// runFlags are the flags of `zstats run`.
type runFlags struct {
	dataDir      string
	ingestAddr   string
	notifierAddr string
	adminAddr    string
	pprof        bool
	accounts     []string
	collectSelf  bool
	interval     time.Duration
	logLevel     string
	logFormat    string
	rawAge       time.Duration
	headLimit    time.Duration
	eventsAge    time.Duration
}

// reannounce is how old the last publication of a schema may be before it is published again.
const reannounce = 24 * time.Hour

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the whole pipeline in one process, on an embedded JetStream",
		Long: `Run ingest, assembler, writer and notifier in one process, on an embedded JetStream, with all data in one
directory. A small collector in the same process scrapes zstats itself and sends over real HTTP, so that there is
something to see at once.

A stop by SIGTERM or Ctrl-C finishes what was taken and exits with 0.`,
		Example: `  zstats run
  zstats run --data-dir /var/lib/zstats --ingest.addr 0.0.0.0:9905 --account acme:s3cret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dataDir, "data-dir", "./data", "directory of the log and of the files")
	flags.StringVar(&f.ingestAddr, "ingest.addr", "127.0.0.1:9905", "where collectors send scrapes, HOST:PORT")
	flags.StringVar(&f.notifierAddr, "notifier.addr", "127.0.0.1:9906", "where consumers subscribe to events by gRPC, HOST:PORT")
	flags.StringVar(&f.adminAddr, "admin.addr", "127.0.0.1:9907", "where /metrics, /-/healthy and /-/ready are, HOST:PORT")
	flags.BoolVar(&f.pprof, "admin.pprof", false, "serve profiles under /debug/pprof/ on the admin address")
	flags.StringArrayVar(&f.accounts, "account", nil, "account and its token, NAME:TOKEN or NAME@SOURCE:TOKEN, repeatable; without it an account 'default' with a random token")
	flags.BoolVar(&f.collectSelf, "collect-self", true, "scrape zstats itself and send it to its own ingest")
	flags.DurationVar(&f.interval, "collect-self.interval", 5*time.Second, "how often zstats scrapes itself")
	flags.StringVar(&f.logLevel, "log.level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log.format", "console", "console or json")
	flags.DurationVar(&f.rawAge, "raw.age", 24*time.Hour, "how long what collectors sent is kept for replays")
	flags.DurationVar(&f.headLimit, "ingest.head-limit", 6*time.Hour, "how long a target may be silent before it must send a full blob; less than raw.age")
	flags.DurationVar(&f.eventsAge, "events.age", 7*24*time.Hour, "how long events are kept for subscribers")
	return cmd
}

func (f *runFlags) validate() error {
	if f.headLimit <= 0 || f.headLimit >= f.rawAge {
		return fmt.Errorf("ingest.head-limit is %s and raw.age is %s: the limit must be positive and less than the age", f.headLimit, f.rawAge)
	}
	if f.eventsAge <= 0 {
		return fmt.Errorf("events.age is %s: it must be positive", f.eventsAge)
	}
	if f.interval < time.Second {
		return errors.New("collect-self.interval must be at least a second")
	}
	return nil
}

// scrapesAge keeps a target's state for as long as ingest may still take an increment to it.
func (f *runFlags) scrapesAge() time.Duration { return f.rawAge + f.headLimit }

// schemasAge keeps a schema for as long as a scrape may name it.
func (f *runFlags) schemasAge() time.Duration { return f.scrapesAge() + 2*reannounce }

// marksAge keeps a resync mark for longer than any head may live.
func (f *runFlags) marksAge() time.Duration { return f.headLimit + f.headLimit/2 }

func (f *runFlags) trimRules() []bus.TrimRule {
	return []bus.TrimRule{
		{Stream: event.Raw, Age: f.rawAge, Reader: event.StageAssembler, ReaderOutput: event.Scrapes},
		{Stream: event.Scrapes, Age: f.scrapesAge(), Reader: event.StageWriter, ReaderOutput: event.Events, Writer: event.StageAssembler},
		{Stream: event.Events, Age: f.eventsAge, Writer: event.StageWriter},
	}
}

// run opens the log, builds the services and runs them until ctx ends.
func (f *runFlags) run(ctx context.Context, out io.Writer) error {
	if err := f.validate(); err != nil {
		return err
	}
	err := f.start(ctx, out)
	if err != nil && errors.Is(err, ctx.Err()) {
		return nil // stopped before it was up
	}
	return err
}

func (f *runFlags) start(ctx context.Context, out io.Writer) error {
	if os.Getenv("GOGC") == "" {
		// The live heap is small beside what passes through: collecting half as often saves more CPU than it costs memory.
		debug.SetGCPercent(200)
	}
	log, err := telemetry.NewLogger(f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	dir, err := openDataDir(f.dataDir)
	if err != nil {
		return err
	}
	defer dir.close()
	intro, tokens, selfToken, err := f.tokens(dir)
	if err != nil {
		return err
	}
	server, err := bus.StartServer(bus.ServerOptions{Dir: dir.log(), Logger: log})
	if err != nil {
		return err
	}
	defer server.Close()
	b, err := bus.Connect(bus.Options{Server: server, Name: "zstats run", Logger: log})
	if err != nil {
		return err
	}
	defer b.Close()
	limits := event.Limits{SchemasAge: f.schemasAge(), DeadAge: 30 * 24 * time.Hour}
	if err := b.EnsureStreams(ctx, event.Topology(limits), event.DefaultPartitions); err != nil {
		return err
	}
	p := &pipeline{flags: f, dir: dir, bus: b, log: log, registry: telemetry.NewRegistry()}
	if err := p.build(ctx, tokens, selfToken); err != nil {
		return err
	}
	intro.print(out, p)
	return runPhases(ctx, 9500*time.Millisecond, p.phases...)
}

// tokens reads the accounts, or makes the default one. It also returns the token with which zstats sends to itself.
func (f *runFlags) tokens(dir *dataDir) (intro *introduction, tokens *account.Tokens, self string, err error) {
	if len(f.accounts) > 0 {
		tokens, err = account.Parse(f.accounts)
		_, self, _ = strings.Cut(f.accounts[0], ":")
		return &introduction{}, tokens, self, err
	}
	token, fresh, err := dir.defaultToken()
	if err != nil {
		return nil, nil, "", err
	}
	tokens, err = account.Parse([]string{"default:" + token})
	return &introduction{token: token, fresh: fresh}, tokens, token, err
}
