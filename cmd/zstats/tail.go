package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/pkg/tail"
)

// tailFlags are the flags of `zstats tail`.
type tailFlags struct {
	notifier     string
	token        string
	tls          bool
	caFile       string
	account      string
	target       string
	fromSequence uint64
	fromSet      bool // --from-sequence was given; 0 is a value
	since        string
	json         bool
	count        int
}

// tailTokenVariable holds the token where the command line, which others can see, should not.
const tailTokenVariable = "ZSTATS_TOKEN"

func tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show each scrape as its files come to lie on disk",
		Long: `Show the notifier's events live, from now on or from a place in the past: when a scrape was received, its account
and target, samples, samples whose value was inferred, and the size of its data file. A wide terminal also shows
the file's path below the directory of files; pipes and --json always get it, whole.

When the connection is lost it connects again and goes on behind the last event shown. Ctrl-C ends it.`,
		Example: `  zstats tail
  zstats tail --account acme --target '*.node' --since 10m
  zstats tail --from-sequence 0 --count 100 --json | jq .data_path`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.fromSet = cmd.Flags().Changed("from-sequence")
			return f.run(cmd.Context(), os.Stdout, os.Stderr, time.Now())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.notifier, "notifier", "127.0.0.1:9906", "address of the notifier, HOST:PORT")
	flags.StringVar(&f.token, "token", "", "token of an account, if the notifier asks for one; better in the environment, "+tailTokenVariable)
	flags.BoolVar(&f.tls, "tls", false, "connect with TLS")
	flags.StringVar(&f.caFile, "ca-file", "", "PEM file with the authorities to trust instead of the system's; implies --tls")
	flags.StringVar(&f.account, "account", "", "only this account")
	flags.StringVar(&f.target, "target", "", "only targets that match this pattern of '*', '?' and '\\' for escapes, as '*.node'")
	flags.Uint64Var(&f.fromSequence, "from-sequence", 0, "begin with the event of this sequence; 0 for all that is kept")
	flags.StringVar(&f.since, "since", "", "begin with what was written so long ago, as 10m, 36h or 3d, or since a time (RFC 3339)")
	flags.BoolVar(&f.json, "json", false, "write one JSON object a line")
	flags.IntVar(&f.count, "count", 0, "end after so many events; 0 for no end")
	cmd.MarkFlagsMutuallyExclusive("from-sequence", "since")
	return cmd
}

// run follows the notifier until ctx ends or the count is reached.
func (f *tailFlags) run(ctx context.Context, out, notes *os.File, now time.Time) error {
	if f.count < 0 {
		return fmt.Errorf("--count is %d; give 1 or more, or 0 for no end", f.count)
	}
	request, err := f.request(now)
	if err != nil {
		return err
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	view, err := f.view(out, notes, now)
	if err != nil {
		return err
	}
	err = tail.Run(ctx, tail.Options{Client: client, Request: request, View: view, Notes: notes, Count: f.count})
	if errors.Is(err, subscribe.ErrUnreachable) {
		return fmt.Errorf("%w\nIs 'zstats run' running there? Start it, or name another address with --notifier HOST:PORT", err)
	}
	return err
}

func (f *tailFlags) request(now time.Time) (*eventpb.SubscribeRequest, error) {
	r := &eventpb.SubscribeRequest{Account: f.account, Target: f.target}
	switch {
	case f.fromSet:
		r.From = &eventpb.SubscribeRequest_FromSequence{FromSequence: f.fromSequence}
	case f.since != "":
		since, err := tail.ParseSince(f.since, now)
		if err != nil {
			return nil, err
		}
		r.From = &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: since.UnixMicro()}
	}
	return r, nil
}

func (f *tailFlags) client() (*subscribe.Client, error) {
	o := subscribe.Options{Addr: f.notifier, Token: f.token}
	if o.Token == "" {
		o.Token = os.Getenv(tailTokenVariable)
	}
	if f.tls || f.caFile != "" {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.caFile != "" {
		pem, err := os.ReadFile(f.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		o.TLS.RootCAs = x509.NewCertPool()
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s holds no certificate in PEM", f.caFile)
		}
	}
	return subscribe.New(o)
}

// view chooses how to show events. A terminal gets its columns' titles at once, so that it says something before the first
// event comes.
func (f *tailFlags) view(out, notes *os.File, now time.Time) (tail.View, error) {
	switch {
	case f.json:
		return tail.NewJSON(out), nil
	case terminalWidth(out) == 0:
		return tail.NewPlain(out, notes, time.Local), nil
	}
	table := tail.NewTable(tail.TableOptions{
		Out: out, Notes: notes, Width: func() int { return terminalWidth(out) }, Color: colored(),
		OneAccount: f.account != "", Zone: time.Local, Today: now,
	})
	return table, table.Header()
}

// colored reports whether the user's terminal may be sent colours (https://no-color.org).
func colored() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }
