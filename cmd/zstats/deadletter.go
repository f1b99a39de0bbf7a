package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/deadletter"
	"github.com/zstats/zstats/pkg/glob"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

func deadletterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "List, show and requeue what could not be processed",
		Long: `List, show and requeue what lies in the dead letters: blobs that could not be folded, scrapes that could not be
written, and what no part of zstats could read. They are kept as long as the stream DEAD keeps them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deadletterLsCommand(), deadletterShowCommand(), deadletterRequeueCommand())
	return cmd
}

// letterFlags are what the subcommands of `zstats deadletter` have in common.
type letterFlags struct {
	source  logSource
	json    bool
	account string
	target  string
	reason  string
	since   string
}

func (f *letterFlags) register(cmd *cobra.Command) {
	f.source.register(cmd.Flags())
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object a line")
}

func (f *letterFlags) registerFilter(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account", "", "only this account")
	flags.StringVar(&f.target, "target", "", "only targets that match this pattern of '*', '?' and '\\' for escapes, as '*.node'")
	flags.StringVar(&f.reason, "reason", "", "only letters with this reason, as 'ls' shows it")
	flags.StringVar(&f.since, "since", "", "only what was received at most so long ago, as 10m, 36h or 3d, or since a time")
}

// filtered reports whether any flag of the filter was given.
func (f *letterFlags) filtered() bool {
	return f.account != "" || f.target != "" || f.reason != "" || f.since != ""
}

func (f *letterFlags) filter(now time.Time) (deadletter.Filter, error) {
	target, err := glob.Parse(f.target)
	if err != nil {
		return deadletter.Filter{}, usagef("--target: %w", err)
	}
	out := deadletter.Filter{Account: f.account, Target: target, Reason: f.reason}
	if f.since != "" {
		since, err := when.Parse(f.since, now)
		if err != nil {
			return out, usagef("--since %w", err)
		}
		out.Since = since.UnixMicro()
	}
	return out, nil
}

// open opens the dead letters of the log. The second value closes it.
func (f *letterFlags) open(ctx context.Context) (*deadletter.Box, func(), error) {
	log, end, err := f.source.open(ctx, "deadletter")
	if err != nil {
		return nil, nil, err
	}
	box, err := deadletter.NewBox(ctx, log)
	if err != nil {
		end()
		return nil, nil, err
	}
	return box, end, nil
}

// terminal returns how to show tables on out.
func terminal(out io.Writer) table.Options {
	o := table.Options{Out: out}
	if f, ok := out.(*os.File); ok {
		o.Width = terminalWidth(f)
		o.Color = o.Width > 0 && colored()
	}
	return o
}

func deadletterLsCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the dead letters",
		Long: `List the dead letters: sequence, when what they hold was received, account, target, the reason, what they hold, and
the first line of the detail. Copies of a letter are shown as one.`,
		Example: `  zstats deadletter ls
  zstats deadletter ls --account acme --target '*.node' --since 3d
  zstats deadletter ls --nats-url nats://127.0.0.1:4222 --json | jq .reason`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.ls(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now())
		},
	}
	f.register(cmd)
	f.registerFilter(cmd)
	return cmd
}

func (f *letterFlags) ls(ctx context.Context, out, notes io.Writer, now time.Time) error {
	filter, err := f.filter(now)
	if err != nil {
		return err
	}
	box, end, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	letters, err := box.List(ctx, filter)
	switch {
	case err != nil:
		return err
	case f.json:
		return deadletter.WriteJSONList(out, letters)
	case len(letters) == 0:
		_, err := fmt.Fprintln(notes, "no dead letters")
		return err
	}
	return deadletter.WriteList(terminal(out), letters, time.Local)
}

func deadletterShowCommand() *cobra.Command {
	var f letterFlags
	var payload string
	cmd := &cobra.Command{
		Use:   "show SEQUENCE",
		Short: "Show one dead letter with what is in it",
		Example: `  zstats deadletter show 17
  zstats deadletter show 17 --payload letter.bin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sequences, err := parseSequences(args)
			if err != nil {
				return err
			}
			return f.show(cmd.Context(), cmd.OutOrStdout(), sequences[0], payload)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&payload, "payload", "", "write what could not be processed, as it was in its message, to this new file")
	return cmd
}

func (f *letterFlags) show(ctx context.Context, out io.Writer, sequence uint64, payload string) error {
	box, end, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	letters, err := box.Find(ctx, sequence)
	if err != nil {
		return err
	}
	content, err := box.Open(ctx, letters[0])
	if err != nil {
		return err
	}
	if payload != "" {
		if err := writeNew(payload, content.Payload); err != nil {
			return fmt.Errorf("--payload: %w", err)
		}
	}
	if f.json {
		return deadletter.WriteJSONContent(out, content)
	}
	return deadletter.WriteContent(terminal(out), content, time.Local)
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// requeueFlags are the flags of `zstats deadletter requeue`.
type requeueFlags struct {
	letterFlags
	all    bool
	dryRun bool
}

func deadletterRequeueCommand() *cobra.Command {
	var f requeueFlags
	cmd := &cobra.Command{
		Use:   "requeue SEQUENCE...|--all",
		Short: "Have dead letters processed again, now that the cause is mended",
		Long: `Fold dead letters again, with this version of zstats, from where they belong in the log and with their original
epochs, and have the writer write what comes out. The live state of their targets is not touched. Letters of one target
are folded in the order in which they came, so give all letters of a chain, or --all.

A letter that was requeued is removed. One that still can't be folded stays and is reported with the reason; the exit
code is 1 then. A requeue that was interrupted can be repeated: nothing is written twice.`,
		Example: `  zstats deadletter requeue 17 18
  zstats deadletter requeue --all --reason panic --dry-run
  zstats deadletter requeue --all --target '*.node'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args, time.Now())
		},
	}
	f.register(cmd)
	f.registerFilter(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "all letters that the filters select")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func (f *requeueFlags) run(ctx context.Context, out io.Writer, args []string, now time.Time) error {
	switch {
	case f.all == (len(args) > 0):
		return usagef("name the sequences of the dead letters to requeue, or give --all, and not both")
	case f.filtered() && !f.all:
		return usagef("--account, --target, --reason and --since select among --all; a letter named by its sequence needs none of them")
	}
	sequences, err := parseSequences(args)
	if err != nil {
		return err
	}
	filter, err := f.filter(now)
	if err != nil {
		return err
	}
	box, end, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	var letters []*deadletter.Letter
	if f.all {
		letters, err = box.List(ctx, filter)
	} else {
		letters, err = box.Find(ctx, sequences...)
	}
	if err != nil {
		return err
	}
	return f.requeue(ctx, out, box, letters)
}

func (f *requeueFlags) requeue(ctx context.Context, out io.Writer, box *deadletter.Box, letters []*deadletter.Letter) error {
	var sum deadletter.Summary
	err := box.Requeue(ctx, letters, f.dryRun, func(r *deadletter.Result) error {
		sum.Add(r)
		if f.json {
			return deadletter.WriteJSONResult(out, r, f.dryRun)
		}
		return deadletter.WriteResult(out, r, f.dryRun)
	})
	if !f.json {
		if _, err := fmt.Fprintln(out, sum.Text(f.dryRun)); err != nil {
			return err
		}
	}
	if err == nil && sum.Left > 0 {
		return fmt.Errorf("%d of %d dead letters can't be processed and stay", sum.Left, len(letters))
	}
	return err
}

func parseSequences(args []string) ([]uint64, error) {
	all := make([]uint64, len(args))
	for i, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || n == 0 {
			return nil, usagef("%q is no sequence of a dead letter; 'zstats deadletter ls' shows them in its first column", arg)
		}
		all[i] = n
	}
	return all, nil
}
