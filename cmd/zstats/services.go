package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/config"
	"github.com/zstats/zstats/pkg/telemetry"
)

// service is a subcommand that runs one or several services until it is stopped.
type service struct {
	use, short, long, example string
	groups                    []group
	// validate checks what this service needs of its settings.
	validate func(*settings) error
	// build makes the services of the process, once its log is there.
	build func(*process) error
	// alone: no other process may use the data directory.
	alone bool
}

// services returns all of them.
func services() []service {
	return []service{runService(), ingestService(), assemblerService(), writerService(), notifierService()}
}

// serviceCommands returns the subcommands that run services.
func serviceCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, s := range services() {
		all = append(all, s.command())
	}
	return all
}

func (v service) command() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Example: v.example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := config.Resolve(cmd.Flags(), config.Sources{Known: knownSetting})
			if err != nil {
				return usage(err)
			}
			return v.run(cmd.Context(), s, all.Notes, cmd.OutOrStdout())
		},
	}
	for _, register := range v.groups {
		register(s, cmd.Flags())
	}
	completeFlags(cmd)
	return cmd
}

// completeFlags says which values a shell may complete.
func completeFlags(cmd *cobra.Command) {
	fixed := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for name, complete := range map[string]cobra.CompletionFunc{
		"log.level": fixed("debug", "info", "warn", "error"), "log.format": fixed("console", "json"),
	} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, complete) // fails only for a flag that isn't there
		}
	}
}

// check says what is wrong with settings, as far as that can be seen without touching anything.
func (v service) check(s *settings) error {
	_, err := telemetry.NewLogger(s.logLevel, s.logFormat)
	return firstError(err, s.validateStreams(), s.validateAccounts(), v.validate(s))
}

// checkFiles says what is wrong with the files that the service's settings name.
func (v service) checkFiles(s *settings) error {
	own := v.command().Flags()
	has := func(name string) bool { return own.Lookup(name) != nil }
	var errs []error
	if has("account-file") {
		_, err := (&process{settings: s}).accounts()
		errs = append(errs, err)
	}
	if has("ingest.tls-cert") {
		errs = append(errs, s.ingestTLS.read())
	}
	if has("notifier.tls-cert") {
		errs = append(errs, s.notifierTLS.read())
	}
	if has("notifier.push.ca-file") {
		_, err := s.push.tlsConfig()
		errs = append(errs, err)
	}
	if has("nats.credentials") && s.natsCredentials != "" {
		if _, err := os.ReadFile(s.natsCredentials); err != nil {
			errs = append(errs, fmt.Errorf("nats.credentials: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (v service) run(ctx context.Context, s *settings, notes []config.Note, out io.Writer) error {
	if err := v.check(s); err != nil {
		return usage(err)
	}
	p, err := newProcess(v.use, s, out)
	if err != nil {
		return err
	}
	defer p.close()
	for _, n := range notes {
		p.log.Info("a key of the older configuration file is "+n.Text, zap.String("key", n.Key), zap.String("place", n.Place))
	}
	for _, name := range strays() {
		p.log.Warn("an environment variable is no setting of zstats and is ignored", zap.String("variable", name))
	}
	if v.alone {
		if p.dir, err = openDataDir(s.dataDir); err != nil {
			return err
		}
	}
	return p.run(ctx, v.build)
}

func runService() service {
	return service{
		use:   "run",
		short: "Run the whole pipeline in one process, on an embedded JetStream",
		long: `Run ingest, assembler, writer and notifier in one process, on an embedded JetStream, with all data in one
directory. A small collector in the same process scrapes zstats itself and sends over real HTTP, so that there is
something to see at once. Without an account there is one named 'default', with a random token.

With --nats-url the log is on external NATS servers instead.

A stop by SIGTERM or Ctrl-C finishes what was taken and exits with 0.`,
		example: `  zstats run
  zstats run --data-dir /var/lib/zstats --ingest.addr 0.0.0.0:9905 --account acme:s3cret`,
		groups: allGroups(),
		validate: func(s *settings) error {
			if s.collectSelf && s.collectSelfInterval.Seconds() < 1 {
				return fmt.Errorf("collect-self.interval is %s: it must be at least a second", s.collectSelfInterval)
			}
			return firstError(s.validateIngest(), s.validateNotifier(), s.validateRetention())
		},
		build: (*process).buildAll,
		alone: true,
	}
}

func ingestService() service {
	return service{
		use:   "ingest",
		short: "Take what collectors send and put it into the log",
		long: `Take what collectors send and put it into the log on external NATS servers. It has no state: any number of them may
run behind any load balancer.`,
		example: `  zstats ingest --nats-url nats://nats-1:4222,nats://nats-2:4222 --nats.replicas 3 --ingest.addr :9905 --account-file accounts`,
		groups:  []group{commonFlags, logFlags, streamFlags, accountFlags, ingestFlags},
		validate: func(s *settings) error {
			if len(s.accounts) == 0 && s.accountFile == "" {
				return fmt.Errorf("no account may come in: name some with --account or --account-file")
			}
			return firstError(needNATS(s), s.validateIngest())
		},
		build: (*process).buildIngest,
	}
}

func assemblerService() service {
	return service{
		use:   "assembler",
		short: "Rebuild scrapes from what is in the log",
		long: `Rebuild scrapes from what collectors sent, in the log on external NATS servers. Any number of them share the work;
they may come and go at any time.`,
		example:  `  zstats assembler --nats-url nats://nats-1:4222,nats://nats-2:4222 --nats.replicas 3`,
		groups:   []group{commonFlags, logFlags, streamFlags, workerFlags, assemblerFlags},
		validate: needNATS,
		build:    (*process).buildAssembler,
	}
}

func writerService() service {
	return service{
		use:   "writer",
		short: "Write scrapes from the log to files",
		long: `Write the scrapes in the log on external NATS servers to files in DIR/files, and tell of each one in the log. Any
number of them share the work, on one shared directory; they may come and go at any time.`,
		example:  `  zstats writer --nats-url nats://nats-1:4222,nats://nats-2:4222 --nats.replicas 3 --data-dir /var/lib/zstats`,
		groups:   []group{commonFlags, logFlags, streamFlags, workerFlags, writerFlags, retentionFlags, dataDirFlag},
		validate: func(s *settings) error { return firstError(needNATS(s), s.validateRetention()) },
		build:    (*process).buildWriter,
	}
}

func notifierService() service {
	return service{
		use:   "notifier",
		short: "Stream events from the log to consumers by gRPC",
		long: `Stream the events in the log on external NATS servers to consumers by gRPC. Each of any number of them serves any
subscriber.`,
		example: `  zstats notifier --nats-url nats://nats-1:4222,nats://nats-2:4222 --nats.replicas 3 --notifier.addr :9906`,
		groups:  []group{commonFlags, logFlags, streamFlags, accountFlags, notifierFlags},
		validate: func(s *settings) error {
			if s.notifierRequireToken && len(s.accounts) == 0 && s.accountFile == "" {
				return fmt.Errorf("notifier.require-token lets nobody in without accounts: name some with --account or --account-file")
			}
			if s.push.address != "" && s.push.root == "" {
				return fmt.Errorf("notifier.push.root is missing: name the writers' directory of files as the downstream service sees it")
			}
			return firstError(needNATS(s), s.validateNotifier())
		},
		build: (*process).buildNotifier,
	}
}

func needNATS(s *settings) error {
	if s.natsURL == "" {
		return fmt.Errorf("a service alone needs external NATS servers: name them with --nats-url, or use 'zstats run', which has its own")
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
