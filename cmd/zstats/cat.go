package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/reading"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// catFlags are the flags of `zstats cat`.
type catFlags struct {
	filesFlags
	account string
	at      string
	raw     bool
}

func catCommand() *cobra.Command {
	var f catFlags
	cmd := &cobra.Command{
		Use:   "cat TARGET",
		Short: "Print a scrape as the target exposed it",
		Long: `Print the exposition of a target: its latest scrape, or with --at the one at or before a time. The labels that all
samples share, which the data file leaves out, are put back behind each sample's own; --raw prints the file's text as it
is.

TARGET is NAME, @SOURCE/NAME, ACCOUNT/NAME or ACCOUNT/@SOURCE/NAME, as 'zstats ls' shows them. The time of a scrape is that of its
arrival, which names its directory.`,
		Example: `  zstats cat 10.0.0.1:9100.node
  zstats cat acme/10.0.0.1:9100.node --at 10m
  zstats cat 10.0.0.1:9100.node --at '2026-11-25 14:00' --raw`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.completeTargets(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			return f.run(displayOf(cmd, now), args[0], now)
		},
	}
	flags := cmd.Flags()
	f.filesFlags.add(flags)
	flags.StringVar(&f.account, "account", "", "look among the targets of this account only")
	flags.StringVar(&f.at, "at", "", "the scrape at or before then: so long ago, as 10m or 3d, or a time or an epoch, as 'zstats ls' shows them")
	flags.BoolVar(&f.raw, "raw", false, "print the text of the data file, without the labels that all samples share")
	_ = cmd.RegisterFlagCompletionFunc("account", f.completeAccounts) // it fails for a flag that isn't there
	return cmd
}

func (f *catFlags) run(d *display, name string, now time.Time) error {
	at, err := parseMoment("at", f.at, now, math.MaxInt64)
	if err != nil {
		return err
	}
	tree, err := f.tree()
	if err != nil {
		return err
	}
	target, err := tree.Find(name, f.account)
	if err != nil {
		return err
	}
	epochs, err := tree.Epochs(target, reading.Always())
	if err != nil {
		return err
	}
	i, err := reading.Pick(epochs, at, d.zone, when.Layout)
	if err != nil {
		return err
	}
	text, err := tree.Text(target, epochs[i], !f.raw)
	if err != nil {
		return err
	}
	if d.width == 0 {
		_, err = d.out.Write(text)
		return err
	}
	// What targets say must not drive a terminal.
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Fprintln(d.out, table.Clean(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
