package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
)

// checkFlags are the flags of `zstats check`.
type checkFlags struct {
	files    string
	ledgers  []string
	account  string
	notifier string
	log      logSource
	within   time.Duration
	json     bool
	// retention: old files were removed.
	retention bool
}

func checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare what was sent with what was written and notified, and report every difference",
		Long: `Read a directory of files and report scrapes that are torn, duplicated, out of order, or that lie where another one
belongs. With the ledgers of collectors (zstats collect --ledger) also those that are lost, changed, or that nobody
has sent; with the log or a notifier also those without an event, and events without a scrape.

What was acknowledged may also lie in the dead letters. Only the log (--data-dir or --nats-url) can tell; without it such a
scrape counts as lost. On a running system, wait until no stage lags: what is under way would be reported. Where old files
are removed, say so with --retention.

The exit code is 0 if nothing is wrong, 1 if something is, 2 for wrong usage.`,
		Example: `  zstats check --data-dir ./data
  zstats check --files ./data/files
  zstats check --files ./data/files --notifier localhost:9906 --ledger /var/lib/zstats-collect/ledger --account acme
  zstats check --files /srv/zstats --nats-url nats://localhost:4222 --ledger a.ledger --ledger b.ledger --account acme@eu --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.files, "files", "", "directory of the files (default files/ in the data directory)")
	flags.StringArrayVar(&f.ledgers, "ledger", nil, "ledger of a collector, repeatable")
	flags.StringVar(&f.account, "account", "", "account that the collectors' token stands for, NAME or NAME@SOURCE")
	flags.StringVar(&f.notifier, "notifier", "", "address of a notifier to read the events from, HOST:PORT")
	flags.StringVar(&f.log.dataDir, "data-dir", "", "data directory of 'zstats run', which may be running: with the files, the events and the dead letters")
	flags.StringVar(&f.log.natsURL, "nats-url", "", "external NATS servers with the events and the dead letters")
	flags.StringVar(&f.log.natsCredentials, "nats.credentials", "", "NATS credentials file")
	flags.DurationVar(&f.within, "timeout", 5*time.Minute, "most time for reading events and dead letters")
	flags.BoolVar(&f.retention, "retention", false, "old files are removed (--retention.age, --retention.bytes): count what is missing before a target's first file, don't report it")
	flags.BoolVar(&f.json, "json", false, "write one JSON object")
	return cmd
}

// run reads everything, what was sent first: what is written and notified after that is no finding.
func (f *checkFlags) run(ctx context.Context, out io.Writer) error {
	if err := f.validate(); err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.within)
	defer cancel()
	r := checker.Run{Retention: f.retention}
	if err := f.readLedgers(&r); err != nil {
		return err
	}
	r.Written = checker.Tree(os.DirFS(f.files))
	if err := f.readEvents(ctx, &r); err != nil {
		return err
	}
	if err := f.readLog(ctx, &r); err != nil {
		return err
	}
	r.Written = checker.Later(os.DirFS(f.files), r.Written, r.Notified)
	report := checker.Compare(r)
	if err := f.print(out, report); err != nil {
		return err
	}
	if !report.OK() {
		return &exitError{code: 1}
	}
	return nil
}

func (f *checkFlags) validate() error {
	if f.log.dataDir != "" && f.log.natsURL != "" {
		return errors.New("give --data-dir or --nats-url, not both")
	}
	if f.files == "" && f.log.dataDir != "" {
		f.files = filepath.Join(f.log.dataDir, "files")
	}
	if f.files == "" {
		return errors.New("--files is missing: name the directory of the files, or a data directory with --data-dir")
	}
	if info, err := os.Stat(f.files); err != nil || !info.IsDir() {
		return fmt.Errorf("--files %s is no directory", f.files)
	}
	if len(f.ledgers) > 0 && f.account == "" {
		return errors.New("--account is missing: a collector does not know its account, so a ledger needs it")
	}
	if f.within <= 0 {
		return fmt.Errorf("--timeout is %s: it must be positive", f.within)
	}
	return nil
}

// readLedgers reads what was sent. Other collectors may have sent to other targets.
func (f *checkFlags) readLedgers(r *checker.Run) error {
	account, source, _ := strings.Cut(f.account, "@")
	grant := scrape.Target{Account: account, Source: source}
	r.Foreign = true
	for i, path := range f.ledgers {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		noted, err := checker.ReadLedger(file, grant, i)
		file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.Sent = append(r.Sent, noted.Sent...)
		r.Since = max(r.Since, noted.Since)
	}
	return nil
}

func (f *checkFlags) readEvents(ctx context.Context, r *checker.Run) error {
	if f.notifier == "" {
		return nil
	}
	client, err := subscribe.New(subscribe.Options{Addr: f.notifier, Token: os.Getenv(tokenVariable)})
	if err != nil {
		return usage(fmt.Errorf("--notifier: %w", err))
	}
	r.Notified, r.EventsTrimmed, err = checker.Events(ctx, client)
	return err
}

func (f *checkFlags) readLog(ctx context.Context, r *checker.Run) error {
	if f.log.natsURL == "" && f.log.dataDir == "" {
		return nil
	}
	b, closeLog, err := f.log.open(ctx, "check")
	if err != nil {
		return err
	}
	defer closeLog()
	if r.Notified == nil {
		if r.Notified, r.EventsTrimmed, err = checker.LoggedEvents(ctx, b); err != nil {
			return err
		}
	}
	r.Dead, err = checker.DeadLetters(ctx, b)
	return err
}

// checkReport is the form of --json.
type checkReport struct {
	OK           bool           `json:"ok"`
	Sent         int            `json:"sent"`
	Acknowledged int            `json:"acknowledged"`
	Written      int            `json:"written"`
	Notified     int            `json:"notified"`
	Dead         int            `json:"dead"`
	Removed      int            `json:"removed"`
	Inferred     int            `json:"inferred"`
	Findings     []checkFinding `json:"findings"`
}

type checkFinding struct {
	Kind       string `json:"kind"`
	Account    string `json:"account"`
	Source     string `json:"source,omitempty"`
	Target     string `json:"target"`
	Generation int64  `json:"generation"`
	Detail     string `json:"detail"`
}

func (f *checkFlags) print(out io.Writer, r checker.Report) error {
	if !f.json {
		_, err := fmt.Fprintln(out, r)
		return err
	}
	j := checkReport{
		OK: r.OK(), Sent: r.Sent, Acknowledged: r.Acknowledged, Written: r.Written, Notified: r.Notified, Dead: r.Dead,
		Removed: r.Removed, Inferred: r.Inferred, Findings: make([]checkFinding, 0, len(r.Findings)),
	}
	for _, x := range r.Findings {
		j.Findings = append(j.Findings, checkFinding{
			string(x.Kind), x.Target.Account, x.Target.Source, x.Target.Name, x.Generation, x.Detail,
		})
	}
	return json.NewEncoder(out).Encode(j)
}
