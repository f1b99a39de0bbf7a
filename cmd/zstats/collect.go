package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/zstats/zstats/collector"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/config"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/telemetry"
)

// tokenVariable is the environment variable with the token, if neither flag gives it.
const tokenVariable = "ZSTATS_TOKEN"

// collectFlags are the flags of `zstats collect`.
type collectFlags struct {
	options   collector.Options
	token     string
	tokenFile string
	targets   []string
	labels    []string
	server    tlsFlags
	scrape    tlsFlags
	ledger    string
	adminAddr string
	logLevel  string
	logFormat string
}

// tlsFlags say how the other end of a connection is verified.
type tlsFlags struct {
	caFile   string
	insecure bool
}

func collectCommand() *cobra.Command {
	var f collectFlags
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "Scrape Prometheus targets and ship the scrapes to a zstats server",
		Long: `Scrape Prometheus targets and ship every scrape to a zstats server, exactly and with little bandwidth.

A target's name on the server is <host:port>.<job>. What the server can't take is kept and sent again in order: in
memory, and with --buffer-dir on disk, where it also survives a restart.

The token comes from --token, from --token-file or from the environment variable ` + tokenVariable + `. Every flag may also stand in
the environment (--buffer-dir is ZSTATS_BUFFER_DIR) or in the YAML file that --config names.

A stop by SIGTERM or Ctrl-C sends what waits, for five seconds at most, and exits with 0.`,
		Example: `  zstats collect --server http://localhost:9905 --token s3cret --target node=http://localhost:9100/metrics
  zstats collect --server https://zstats.example.com --token-file /etc/zstats/token --buffer-dir /var/lib/zstats-collect \
    --target node=http://10.0.0.1:9100/metrics --target node=http://10.0.0.2:9100/metrics --interval 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := config.Resolve(cmd.Flags(), config.Sources{Getenv: withoutToken, Known: knownSetting}); err != nil {
				return usage(err)
			}
			if err := f.check(cmd.Flags()); err != nil {
				return usage(err)
			}
			return f.run(cmd.Context())
		},
	}
	f.register(cmd)
	completeFlags(cmd)
	return cmd
}

// withoutToken looks up environment variables other than the token's, which readToken sees to.
func withoutToken(name string) (string, bool) {
	if name == tokenVariable {
		return "", false
	}
	return os.LookupEnv(name)
}

// check refuses what can't be meant. A zero would stand for the default further on.
func (f *collectFlags) check(flags *pflag.FlagSet) error {
	switch {
	case f.options.Server == "":
		return errors.New("--server is missing: give the URL of a zstats server, for example http://localhost:9905")
	case len(f.targets) == 0:
		return errors.New("--target is missing: name at least one, for example node=http://localhost:9100/metrics")
	}
	for _, name := range []string{
		"interval", "timeout", "scrape.bytes", "scrape.samples", "batch", "flush", "request-timeout", "queue-blobs", "queue-bytes", "buffer-bytes",
	} {
		value := flags.Lookup(name).Value.String()
		if flags.Changed(name) && (value == "0" || value == "0s" || strings.HasPrefix(value, "-")) {
			return fmt.Errorf("--%s is %s: it must be positive", name, value)
		}
	}
	return nil
}

func (f *collectFlags) register(cmd *cobra.Command) {
	flags, o := cmd.Flags(), &f.options
	flags.String(config.FileFlag, "", "YAML file with settings by the names of the flags")
	flags.StringVar(&o.Server, "server", "", "URL of the server, for example http://localhost:9905; without a path it means /api/v1/zstats")
	flags.StringVar(&f.token, "token", "", "token of the account")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the token of the account")
	flags.StringArrayVar(&f.targets, "target", nil, "what to scrape, JOB=URL, repeatable")
	flags.StringArrayVar(&f.labels, "label", nil, "label that every sample gets, NAME=VALUE, repeatable")
	flags.DurationVar(&o.Interval, "interval", 15*time.Second, "time between two scrapes of a target; the server may ask for more")
	flags.DurationVar(&o.Timeout, "timeout", 0, "most time for one scrape (default 10s, or the interval if that is less)")
	flags.IntVar(&o.BodyBytes, "scrape.bytes", 128<<20, "largest scrape, in bytes, uncompressed")
	flags.IntVar(&o.Samples, "scrape.samples", 500_000, "largest scrape, in samples")
	flags.BoolVar(&o.Proven, "proven", false, "send a full blob also where the server would rebuild every value but mark some as inferred; takes several times the bandwidth")
	flags.IntVar(&o.Batch, "batch", 200, "most blobs in a request")
	flags.DurationVar(&o.Flush, "flush", 5*time.Second, "how long a blob may wait for others to share its request")
	flags.DurationVar(&o.RequestTimeout, "request-timeout", time.Minute, "most time for one request to the server")
	flags.IntVar(&o.QueueBlobs, "queue-blobs", 240, "most blobs of one target that wait in memory")
	flags.Int64Var(&o.QueueBytes, "queue-bytes", 256<<20, "most memory of all blobs that wait")
	flags.StringVar(&o.BufferDir, "buffer-dir", "", "directory for what can't be delivered; for this collector alone")
	flags.Int64Var(&o.BufferBytes, "buffer-bytes", 1<<30, "most bytes of files in the buffer directory")
	flags.StringVar(&f.server.caFile, "ca-file", "", "PEM file with the authorities that may sign the server's certificate")
	flags.BoolVar(&f.server.insecure, "insecure-skip-verify", false, "do not verify the server's certificate")
	flags.StringVar(&f.scrape.caFile, "scrape.ca-file", "", "PEM file with the authorities that may sign the targets' certificates")
	flags.BoolVar(&f.scrape.insecure, "scrape.insecure-skip-verify", false, "do not verify the targets' certificates")
	flags.StringVar(&f.ledger, "ledger", "", "file that notes each blob that is sent and its answer, for zstats check; it only ever grows")
	flags.StringVar(&f.adminAddr, "admin.addr", "", "where the collector's own /metrics and /-/healthy are, HOST:PORT; empty for nowhere")
	flags.StringVar(&f.logLevel, "log.level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log.format", "console", "console or json")
}

// run builds a collector and runs it until ctx ends.
func (f *collectFlags) run(ctx context.Context) (err error) {
	o := f.options
	if o.Token, err = f.readToken(); err != nil {
		return usage(err)
	}
	if o.Token == "" {
		return usagef("the token is missing: give it with --token-file, --token or %s", tokenVariable)
	}
	if o.Targets, err = parseTargets(f.targets); err != nil {
		return usage(err)
	}
	if o.Labels, err = parseLabels(f.labels); err != nil {
		return usage(err)
	}
	if o.Client, err = f.server.client(); err != nil {
		return err
	}
	if o.ScrapeClient, err = f.scrape.client(); err != nil {
		return err
	}
	if o.Logger, err = telemetry.NewLogger(f.logLevel, f.logFormat); err != nil {
		return usage(err)
	}
	if o.BufferDir != "" {
		// A second collector would send this one's files, under its own token.
		lock, err := lockDir(o.BufferDir, 0o700, "buffer directory", "--buffer-dir")
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	if f.ledger != "" {
		file, err := checker.OpenLedger(f.ledger)
		if err != nil {
			return err
		}
		defer file.Close()
		o.Ledger = &collectorLedger{file: file, log: o.Logger}
	}
	registry := telemetry.NewRegistry()
	o.Registerer = registry
	c, err := collector.New(o)
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return err // of the buffer directory
		}
		return usage(err)
	}
	phases := [][]actor{{{"collector", c.Run}}}
	if f.adminAddr != "" {
		admin, err := telemetry.NewAdmin(telemetry.AdminOptions{Addr: f.adminAddr, Registry: registry})
		if err != nil {
			return bindError(err, "admin.addr")
		}
		phases = append(phases, []actor{{"admin server", admin.Run}})
	}
	return runPhases(ctx, stopWithin, phases...)
}

// collectorLedger notes what a collector sends. It goes silent at the first error: shipping matters more.
type collectorLedger struct {
	file   *checker.Ledger
	log    *zap.Logger
	failed bool
}

// Sent implements collector.Ledger.
func (l *collectorLedger) Sent(target string, schema *scrape.Schema, s *scrape.Scrape) {
	if l.failed {
		return
	}
	sent := checker.Describe(scrape.Target{Name: target}, schema, s)
	sent.Exact, sent.Values = true, nil // the digest says it all
	l.note(l.file.Sent(sent))
}

// Answered implements collector.Ledger.
func (l *collectorLedger) Answered(target string, generation int64, code int8) {
	if l.failed {
		return
	}
	l.note(l.file.Answered(scrape.Target{Name: target}, generation, code))
}

func (l *collectorLedger) note(err error) {
	if err == nil {
		return
	}
	l.failed = true
	l.log.Error("the ledger can't be written any more, what is sent from now on will count as unexplained", zap.Error(err))
}

// readToken returns the token from where it is given. A flag wins over the environment.
func (f *collectFlags) readToken() (string, error) {
	switch {
	case f.token != "" && f.tokenFile != "":
		return "", errors.New("give --token or --token-file, not both")
	case f.token != "":
		return f.token, nil
	case f.tokenFile == "":
		return os.Getenv(tokenVariable), nil
	}
	data, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// parseTargets reads targets of the form JOB=URL.
func parseTargets(args []string) ([]collector.Target, error) {
	var targets []collector.Target
	for _, arg := range args {
		job, url, ok := strings.Cut(arg, "=")
		if !ok || job == "" || url == "" {
			return nil, fmt.Errorf("target %q: want JOB=URL, for example node=http://localhost:9100/metrics", arg)
		}
		targets = append(targets, collector.Target{Job: job, URL: url})
	}
	return targets, nil
}

// parseLabels reads labels of the form NAME=VALUE.
func parseLabels(args []string) ([]scrape.Label, error) {
	var labels []scrape.Label
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("label %q: want NAME=VALUE", arg)
		}
		labels = append(labels, scrape.Label{Name: name, Value: value})
	}
	return labels, nil
}

// client returns a client that verifies as the flags say; nil if they say nothing.
func (f *tlsFlags) client() (*http.Client, error) {
	if f.caFile == "" && !f.insecure {
		return nil, nil
	}
	roots, err := authorities(f.caFile)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	config := &tls.Config{RootCAs: roots, InsecureSkipVerify: f.insecure}
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     5 * time.Minute,
	}}, nil
}
