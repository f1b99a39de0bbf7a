package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zstats/zstats/pkg/reading"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// filesFlags say which directory of files is read.
type filesFlags struct {
	dataDir string
	files   string
}

func (f *filesFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.dataDir, "data-dir", "./data", "data directory of 'zstats run'; the files are in it")
	flags.StringVar(&f.files, "files", "", "directory of files, instead of the one in the data directory")
}

// tree opens the directory of files.
func (f *filesFlags) tree() (reading.Tree, error) {
	dir := f.files
	if dir == "" {
		dir = filepath.Join(f.dataDir, "files")
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no directory")
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it does not exist")
	}
	if err != nil {
		return reading.Tree{}, fmt.Errorf("directory of files %s: %w; name another with --data-dir DIR or --files DIR", dir, err)
	}
	return reading.Tree{FS: os.DirFS(dir)}, nil
}

// completeTargets completes names of targets and, if asked for, of accounts. Whole names are offered once the account is typed.
func (f *filesFlags) completeTargets(accounts bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		tree, err := f.tree()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := candidates(tree, flagValue(cmd, "account"), typed, accounts)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func (f *filesFlags) completeAccounts(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	tree, err := f.tree()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := tree.Accounts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return withPrefix(names, typed), cobra.ShellCompDirectiveNoFileComp
}

func candidates(tree reading.Tree, account, typed string, accounts bool) ([]string, error) {
	if accounts && !strings.Contains(typed, "/") {
		names, err := tree.Accounts()
		return withPrefix(names, typed), err
	}
	targets, err := tree.AllTargets()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range targets {
		switch {
		case account != "" && t.Account != account:
		case !accounts && strings.HasPrefix(t.Name(), typed):
			names = append(names, t.Name())
		case strings.HasPrefix(t.Path(), typed):
			names = append(names, t.Path())
		}
	}
	return names, nil
}

func withPrefix(names []string, prefix string) (out []string) {
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out
}

func flagValue(cmd *cobra.Command, name string) string {
	if flag := cmd.Flags().Lookup(name); flag != nil {
		return flag.Value.String()
	}
	return ""
}

// parseMoment returns what a flag's value means, and never if it is empty.
func parseMoment(flag, value string, now time.Time, never int64) (epoch int64, err error) {
	if value == "" {
		return never, nil
	}
	at, err := when.Parse(value, now)
	if err != nil {
		return 0, usagef("--%s %w", flag, err)
	}
	return at.UnixMicro(), nil
}

// display is where a command shows things.
type display struct {
	out, notes io.Writer
	width      int // of the terminal; 0 is none
	color      bool
	zone       *time.Location
}

// displayOf returns the display of a command that was started at a time.
func displayOf(cmd *cobra.Command, now time.Time) *display {
	d := &display{out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), zone: now.Location()}
	if f, ok := d.out.(*os.File); ok {
		d.width = terminalWidth(f)
	}
	d.color = d.width > 0 && colored()
	return d
}

func (d *display) table(columns []table.Column, rows [][]string) error {
	return table.Write(table.Options{Out: d.out, Width: d.width, Color: d.color}, columns, rows)
}

func (d *display) time(epoch int64, layout string) string {
	if epoch == 0 {
		return "-"
	}
	return time.UnixMicro(epoch).In(d.zone).Format(layout)
}
