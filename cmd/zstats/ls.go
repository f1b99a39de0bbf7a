package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/reading"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// lsFlags are the flags of `zstats ls`.
type lsFlags struct {
	filesFlags
	since, until string
	limit        int
	exact        bool
	json         bool
}

// lsLimit is how many scrapes are listed unless told otherwise.
const lsLimit = 100

func lsCommand() *cobra.Command {
	f := lsFlags{}
	cmd := &cobra.Command{
		Use:   "ls [ACCOUNT[/TARGET]]",
		Short: "List accounts, the targets of one, or the scrapes of a target",
		Long: `List what lies in a directory of files: all accounts, the targets of an account, or the scrapes of a target, the newest
last. A target may be named without its account where only one account has it.

Only names are read, and the metadata of the scrapes that are shown; so a directory of any size is listed quickly. The
sizes of accounts and targets are estimated (~) where there are many scrapes; --exact looks at each file.

Of scrapes the last 100 are shown, --limit 0 shows all; with --json all are.`,
		Example: `  zstats ls
  zstats ls acme
  zstats ls acme/10.0.0.1:9100.node --since 1h
  zstats ls 10.0.0.1:9100.node --json | jq .data_path`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.completeTargets(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("limit") && f.json {
				f.limit = 0
			}
			now := time.Now()
			return f.run(displayOf(cmd, now), strings.Join(args, ""), now)
		},
	}
	flags := cmd.Flags()
	f.filesFlags.add(flags)
	flags.StringVar(&f.since, "since", "", "only scrapes from then on: so long ago, as 10m, 36h or 3d, or a time, as '2026-11-25 14:00'")
	flags.StringVar(&f.until, "until", "", "only scrapes until then, inclusive; like --since")
	flags.IntVar(&f.limit, "limit", lsLimit, "show the last so many scrapes of a target; 0 for all")
	flags.BoolVar(&f.exact, "exact", false, "look at the size of each file")
	flags.BoolVar(&f.json, "json", false, "write one JSON object a line")
	return cmd
}

func (f *lsFlags) run(d *display, name string, now time.Time) error {
	if f.limit < 0 {
		return usagef("--limit is %d; give 1 or more, or 0 for all", f.limit)
	}
	r, err := f.timeRange(now)
	if err != nil {
		return err
	}
	tree, err := f.tree()
	if err != nil {
		return err
	}
	accounts, err := tree.Accounts()
	if err != nil {
		return err
	}
	if name == "" {
		return f.accounts(d, tree, accounts, r)
	}
	for _, account := range accounts {
		if account == strings.TrimSuffix(name, "/") {
			return f.targets(d, tree, account, r)
		}
	}
	target, err := tree.Find(name, "")
	if errors.Is(err, reading.ErrNotFound) && !strings.Contains(name, "/") {
		return notInTree(tree, name, accounts)
	}
	if err != nil {
		return err
	}
	return f.scrapes(d, tree, target, r)
}

// notInTree returns an error that suggests accounts as well as targets.
func notInTree(tree reading.Tree, name string, accounts []string) error {
	names := slices.Clone(accounts)
	targets, err := tree.AllTargets()
	if err != nil {
		return err
	}
	for _, t := range targets {
		names = append(names, t.Name())
	}
	return reading.NotFound("account or target", name, names)
}

func (f *lsFlags) timeRange(now time.Time) (r reading.Range, err error) {
	if r.Since, err = parseMoment("since", f.since, now, math.MinInt64); err != nil {
		return r, err
	}
	if r.Until, err = parseMoment("until", f.until, now, math.MaxInt64); err != nil {
		return r, err
	}
	if r.Since > r.Until {
		return r, usagef("--since %q is later than --until %q", f.since, f.until)
	}
	return r, nil
}

// lsSummary is what --json says of an account or a target.
type lsSummary struct {
	Account        string `json:"account"`
	Source         string `json:"source,omitempty"`
	Target         string `json:"target,omitempty"`
	Targets        int    `json:"targets,omitempty"`
	Scrapes        int    `json:"scrapes"`
	Bytes          int64  `json:"bytes"`
	BytesEstimated bool   `json:"bytes_estimated"`
	FirstEpochUs   int64  `json:"first_epoch_us"`
	LastEpochUs    int64  `json:"last_epoch_us"`
	Path           string `json:"path,omitempty"`
}

func summaryOf(account string, s reading.Summary) lsSummary {
	return lsSummary{Account: account, Scrapes: s.Scrapes, Bytes: s.Bytes, BytesEstimated: s.Estimated, FirstEpochUs: s.First, LastEpochUs: s.Last}
}

func (f *lsFlags) accounts(d *display, tree reading.Tree, accounts []string, r reading.Range) error {
	var rows [][]string
	for _, account := range accounts {
		targets, err := tree.Targets(account)
		if err != nil {
			return err
		}
		var sum reading.Summary
		for _, t := range targets {
			s, err := tree.Summarize(t, r, f.exact)
			if err != nil {
				return err
			}
			sum.Add(s)
		}
		if sum.Scrapes == 0 && r != reading.Always() {
			continue
		}
		if f.json {
			line := summaryOf(account, sum)
			line.Targets = sum.Targets
			if err := table.JSON(d.out, line); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, append([]string{account, strconv.Itoa(sum.Targets)}, d.summary(sum)...))
	}
	if f.json {
		return nil
	}
	if len(rows) == 0 {
		return d.note("no scrapes%s", within(r))
	}
	return d.table(append([]table.Column{{Title: "ACCOUNT", Min: 8}, {Title: "TARGETS", Right: true}}, summaryColumns()...), rows)
}

func (f *lsFlags) targets(d *display, tree reading.Tree, account string, r reading.Range) error {
	targets, err := tree.Targets(account)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, t := range targets {
		s, err := tree.Summarize(t, r, f.exact)
		if err != nil {
			return err
		}
		if s.Scrapes == 0 && r != reading.Always() {
			continue
		}
		if f.json {
			line := summaryOf(account, s)
			line.Source, line.Target, line.Path = t.Source, t.Target.Name, t.Dir
			if err := table.JSON(d.out, line); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, append([]string{t.Name()}, d.summary(s)...))
	}
	if f.json {
		return nil
	}
	if len(rows) == 0 {
		return d.note("account %q has no scrapes%s", account, within(r))
	}
	return d.table(append([]table.Column{{Title: "TARGET", Min: 16}}, summaryColumns()...), rows)
}

func within(r reading.Range) string {
	if r == reading.Always() {
		return ""
	}
	return " in that time"
}

func (d *display) note(format string, args ...any) error {
	_, err := fmt.Fprintf(d.notes, format+"\n", args...)
	return err
}

func summaryColumns() []table.Column {
	return []table.Column{{Title: "SCRAPES", Right: true}, {Title: "SIZE", Right: true}, {Title: "FIRST"}, {Title: "LAST"}}
}

func (d *display) summary(s reading.Summary) []string {
	const layout = "2006-01-02 15:04"
	size := table.Size(uint64(s.Bytes))
	if s.Estimated {
		size = "~" + size
	}
	return []string{strconv.Itoa(s.Scrapes), size, d.time(s.First, layout), d.time(s.Last, layout)}
}

// lsScrape is what --json says of a scrape. What the files of the older server don't say is left out.
type lsScrape struct {
	Account     string `json:"account"`
	Source      string `json:"source,omitempty"`
	Target      string `json:"target"`
	EpochUs     int64  `json:"epoch_us"`
	ReceivedUs  int64  `json:"received_us,omitempty"`
	TimestampMs int64  `json:"default_timestamp_ms"`
	*lsOwn
	DataBytes     int64  `json:"data_bytes"`
	MetadataBytes int64  `json:"metadata_bytes"`
	Data          string `json:"data_path"`
	Metadata      string `json:"metadata_path"`
}

// lsOwn is what only zstats' own files say.
type lsOwn struct {
	Generation int64  `json:"generation"`
	Run        int64  `json:"run"`
	Samples    int    `json:"samples"`
	Inferred   int    `json:"inferred"`
	Schema     string `json:"schema"`
}

func lsOwnOf(m *archive.Metadata) *lsOwn {
	if m.Older() {
		return nil
	}
	return &lsOwn{Generation: m.Generation, Run: m.Run, Samples: m.Samples, Inferred: m.Inferred, Schema: m.Schema.String()}
}

// cells are generation, samples and inferred samples in a table.
func (o *lsOwn) cells() []string {
	if o == nil {
		return []string{"-", "-", "-"}
	}
	return []string{strconv.FormatInt(o.Generation, 10), strconv.Itoa(o.Samples), strconv.Itoa(o.Inferred)}
}

func (f *lsFlags) scrapes(d *display, tree reading.Tree, target reading.Target, r reading.Range) error {
	epochs, err := tree.Epochs(target, r)
	if err != nil {
		return err
	}
	older := 0
	if f.limit > 0 && len(epochs) > f.limit {
		older = len(epochs) - f.limit
		epochs = epochs[older:]
	}
	if f.json {
		return f.scrapesJSON(d, tree, target, epochs)
	}
	scrapes, err := tree.Rows(target, epochs)
	if err != nil {
		return err
	}
	if len(scrapes) == 0 {
		return d.note("target %s has no scrapes%s", target.Path(), within(r))
	}
	rows := make([][]string, len(scrapes))
	for i, s := range scrapes {
		rows[i] = append([]string{d.time(s.Epoch, when.Layout)}, lsOwnOf(s.Metadata).cells()...)
		rows[i] = append(rows[i], table.Size(uint64(s.Sizes.Total())))
	}
	if older > 0 {
		if err := d.note("%d older not shown; --limit 0 shows all", older); err != nil {
			return err
		}
	}
	return d.table([]table.Column{
		{Title: "TIME"}, {Title: "GENERATION", Right: true, Min: 8, KeepEnd: true}, {Title: "SAMPLES", Right: true}, {Title: "INFERRED", Right: true}, {Title: "SIZE", Right: true},
	}, rows)
}

// scrapesJSON writes the scrapes in portions, so that any number can be listed.
func (f *lsFlags) scrapesJSON(d *display, tree reading.Tree, target reading.Target, epochs []int64) error {
	const portion = 1000
	for len(epochs) > 0 {
		n := min(portion, len(epochs))
		scrapes, err := tree.Rows(target, epochs[:n])
		if err != nil {
			return err
		}
		epochs = epochs[n:]
		for _, s := range scrapes {
			m := s.Metadata
			if err := table.JSON(d.out, lsScrape{
				Account: target.Account, Source: target.Source, Target: target.Target.Name, EpochUs: s.Epoch, ReceivedUs: m.Received, TimestampMs: m.Time,
				lsOwn: lsOwnOf(m), DataBytes: s.Sizes.Data, MetadataBytes: s.Sizes.Metadata, Data: s.Paths.Data, Metadata: s.Paths.Metadata,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
