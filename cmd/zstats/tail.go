package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/tail"
)

// tailFlags are the flags of `zstats tail`.
type tailFlags struct {
	notifierSource
	name         string
	account      string
	target       string
	fromSequence uint64
	fromSet      bool // --from-sequence was given; 0 is a value
	since        string
	json         bool
	count        int
}

// tailInFlight is how many events of a position are delivered and not shown yet, at most.
const tailInFlight = 100

func tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show each scrape as its files come to lie on disk",
		Long: `Show the notifier's events live, from now on or from a place in the past: when a scrape was received, its account
and target, samples, samples whose value was inferred, and the size of its data file. A wide terminal also shows
the file's path below the directory of files; pipes and --json always get it, whole.

When the connection is lost it connects again and goes on behind the last event shown. Ctrl-C ends it.

With --name it shows the events of a named position, which the notifier keeps, and acknowledges each after it was shown. So it
goes on where the last one with that name ended, at any notifier, and several share the events, each shown by one of them.
What was not acknowledged comes again, after newer events. A position is made when its name is first used: --account
and --target say then what it selects and must always be the same, --from-sequence or --since where it begins, else it is from now
on. 'zstats positions' lists and removes positions.`,
		Example: `  zstats tail
  zstats tail --account acme --target '*.node' --since 10m
  zstats tail --from-sequence 0 --count 100 --json | jq .data_path
  zstats tail --name billing --account acme --count 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.fromSet = cmd.Flags().Changed("from-sequence")
			if f.name == "" && cmd.Flags().Changed("name") {
				return usagef("--name is empty; give a position's name, or leave it out")
			}
			return f.run(cmd.Context(), os.Stdout, os.Stderr, time.Now())
		},
	}
	flags := cmd.Flags()
	f.notifierSource.register(flags)
	flags.StringVar(&f.name, "name", "", "go on where the position of this name is, and acknowledge what is shown")
	flags.StringVar(&f.account, "account", "", "only this account")
	flags.StringVar(&f.target, "target", "", "only targets that match this pattern of '*', '?' and '\\' for escapes, as '*.node'")
	flags.Uint64Var(&f.fromSequence, "from-sequence", 0, "begin with the event of this sequence; 0 for all that is kept")
	flags.StringVar(&f.since, "since", "", "begin with what was written so long ago, as 10m, 36h or 3d, or since a time (RFC 3339)")
	flags.BoolVar(&f.json, "json", false, "write one JSON object a line")
	flags.IntVar(&f.count, "count", 0, "end after so many events; 0 for no end")
	atMostOne(cmd, "from-sequence", "since")
	_ = cmd.RegisterFlagCompletionFunc("name", f.completePositions) // the flag is there
	return cmd
}

// run follows the notifier until ctx ends or the count is reached.
func (f *tailFlags) run(ctx context.Context, out, notes *os.File, now time.Time) error {
	if f.count < 0 {
		return usagef("--count is %d; give 1 or more, or 0 for no end", f.count)
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
	return f.explain(tail.Run(ctx, tail.Options{
		Client: client, Request: request, Position: f.position(request), View: view, Notes: notes, Count: f.count,
	}))
}

func (f *tailFlags) request(now time.Time) (*eventpb.SubscribeRequest, error) {
	r := &eventpb.SubscribeRequest{Account: f.account, Target: f.target}
	switch {
	case f.fromSet:
		r.From = &eventpb.SubscribeRequest_FromSequence{FromSequence: f.fromSequence}
	case f.since != "":
		since, err := tail.ParseSince(f.since, now)
		if err != nil {
			return nil, usagef("--%w", err)
		}
		r.From = &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: since.UnixMicro()}
	}
	return r, nil
}

// position returns what to open for the events that a request asks for, or nil without --name. With --count events are
// delivered one at a time: more than are shown would have to come again, after newer ones.
func (f *tailFlags) position(r *eventpb.SubscribeRequest) *eventpb.OpenPosition {
	if f.name == "" {
		return nil
	}
	o := &eventpb.OpenPosition{Name: f.name, Account: r.GetAccount(), Target: r.GetTarget(), MaxInFlight: tailInFlight}
	if f.count > 0 {
		o.MaxInFlight = 1
	}
	switch from := r.GetFrom().(type) {
	case *eventpb.SubscribeRequest_FromSequence:
		o.From = &eventpb.OpenPosition_FromSequence{FromSequence: from.FromSequence}
	case *eventpb.SubscribeRequest_FromTimeUs:
		o.From = &eventpb.OpenPosition_FromTimeUs{FromTimeUs: from.FromTimeUs}
	}
	return o
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
