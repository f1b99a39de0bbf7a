package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/reading"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// diffFlags are the flags of `zstats diff`.
type diffFlags struct {
	filesFlags
	account string
	at, to  string
	json    bool
}

// Exit codes of `zstats diff`, those of diff(1).
const (
	diffFound   = 1
	diffTrouble = 2
)

func diffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff TARGET",
		Short: "Compare two scrapes of a target",
		Long: `Compare two scrapes of a target, by default the last two: which series came (+), went (-) or have another value (~). A time
means the scrape at or before it: --to the newer one, by default the latest, --at the older one, by default the one
before the newer. Series are compared by their labels, values to the last bit; at a terminal ten digits of them are
shown, elsewhere all. Labels that all samples of both scrapes share are not repeated.

The exit code is 0 if nothing differs, 1 if something does, and 2 if the comparison failed, as that of diff(1).`,
		Example: `  zstats diff 10.0.0.1:9100.node
  zstats diff acme/10.0.0.1:9100.node --at 1h
  zstats diff 10.0.0.1:9100.node --at '2026-11-25 14:00' --to '2026-11-25 15:00' --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.completeTargets(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			differ, err := f.run(displayOf(cmd, now), args[0], now)
			switch {
			case isUsage(err):
				return err
			case err != nil:
				return &exitError{code: diffTrouble, err: err}
			case differ:
				return &exitError{code: diffFound}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	f.filesFlags.add(flags)
	flags.StringVar(&f.account, "account", "", "look among the targets of this account only")
	flags.StringVar(&f.at, "at", "", "the older scrape: so long ago, as 10m or 3d, or a time or an epoch, as 'zstats ls' shows them")
	flags.StringVar(&f.to, "to", "", "the newer scrape; like --at")
	flags.BoolVar(&f.json, "json", false, "write one JSON object a line, the last one a summary")
	_ = cmd.RegisterFlagCompletionFunc("account", f.completeAccounts) // it fails for a flag that isn't there
	return cmd
}

// run reports whether the scrapes differ.
func (f *diffFlags) run(d *display, name string, now time.Time) (bool, error) {
	at, err := parseMoment("at", f.at, now, math.MinInt64)
	if err != nil {
		return false, err
	}
	to, err := parseMoment("to", f.to, now, math.MaxInt64)
	if err != nil {
		return false, err
	}
	tree, err := f.tree()
	if err != nil {
		return false, err
	}
	target, err := tree.Find(name, f.account)
	if err != nil {
		return false, err
	}
	epochs, err := tree.Epochs(target, reading.Always())
	if err != nil {
		return false, err
	}
	i, j, err := f.pick(d, epochs, at, to)
	if err != nil {
		return false, err
	}
	old, err := tree.Read(target, epochs[i])
	if err != nil {
		return false, err
	}
	new, err := tree.Read(target, epochs[j])
	if err != nil {
		return false, err
	}
	v := diffView{display: d, target: target, old: old, new: new, difference: reading.Compare(old.Samples, new.Samples)}
	show := v.show
	if f.json {
		show = v.json
	}
	return len(v.difference.Changes) > 0, show()
}

// pick returns which scrapes are compared.
func (f *diffFlags) pick(d *display, epochs []int64, at, to int64) (i, j int, err error) {
	if j, err = reading.Pick(epochs, to, d.zone, when.Layout); err != nil {
		return 0, 0, err
	}
	if f.at == "" {
		if j == 0 {
			return 0, 0, fmt.Errorf("nothing to compare with: the target's first scrape is the one of %s", d.time(epochs[j], when.Layout))
		}
		return j - 1, j, nil
	}
	if i, err = reading.Pick(epochs, at, d.zone, when.Layout); err != nil {
		return 0, 0, err
	}
	switch {
	case i == j:
		return 0, 0, fmt.Errorf("both times mean the same scrape, the one of %s", d.time(epochs[i], when.Layout))
	case i > j:
		return 0, 0, usagef("--at must not be later than --to")
	}
	return i, j, nil
}

// diffView shows a difference.
type diffView struct {
	*display
	target     reading.Target
	old, new   *reading.Scrape
	difference reading.Difference
}

func (v *diffView) show() error {
	for _, s := range [...]struct {
		sign string
		*reading.Scrape
	}{{"---", v.old}, {"+++", v.new}} {
		if _, err := fmt.Fprintf(v.out, "%s %s  %s\n", s.sign, table.Clean(v.target.Path()), v.time(s.Epoch, when.Layout)); err != nil {
			return err
		}
	}
	common := v.common()
	rows := make([][]string, len(v.difference.Changes))
	for i, c := range v.difference.Changes {
		rows[i] = v.row(c, common)
	}
	if len(rows) > 0 {
		err := v.table([]table.Column{{}, {Title: "SERIES", Min: 20, KeepBoth: true}, {Title: "OLD", Right: true}, {Title: "NEW", Right: true}, {Title: "DELTA", Right: true}}, rows)
		if err != nil {
			return err
		}
	}
	d := v.difference
	_, err := fmt.Fprintf(v.out, "%d changed, %d added, %d removed, %d the same\n", d.Changed, d.Added, d.Removed, d.Same)
	return err
}

// common returns the labels that all samples of both scrapes share.
func (v *diffView) common() []scrape.Label {
	return slices.DeleteFunc(slices.Clone(v.new.Metadata.Common), func(l scrape.Label) bool { return !slices.Contains(v.old.Metadata.Common, l) })
}

func (v *diffView) row(c reading.Change, common []scrape.Label) []string {
	series := seriesText(c.Labels, common)
	switch c.Kind {
	case reading.Added:
		return []string{"+", series, "", v.number(c.New), ""}
	case reading.Removed:
		return []string{"-", series, v.number(c.Old), "", ""}
	}
	delta := v.number(c.Delta())
	if c.Delta() > 0 {
		delta = "+" + strings.TrimPrefix(delta, "+")
	}
	return []string{"~", series, v.number(c.Old), v.number(c.New), delta}
}

// number shows a value: ten digits where lines are narrow, else all.
func (v *diffView) number(x float64) string {
	if v.width > 0 {
		return strconv.FormatFloat(x, 'g', 10, 64)
	}
	return string(appendNumber(nil, x))
}

// appendNumber appends the shortest form that parses to x again, with an exponent only where there would be many zeros.
func appendNumber(dst []byte, x float64) []byte {
	if abs := math.Abs(x); abs == 0 || 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, x, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, 64)
}

// seriesText returns a series as Prometheus writes it, without the common labels.
func seriesText(labels, common []scrape.Label) string {
	var name string
	var rest []string
	for _, l := range labels {
		switch {
		case l.Name == scrape.MetricName:
			name = l.Value
		case !slices.Contains(common, l):
			rest = append(rest, l.Name+"="+strconv.Quote(l.Value))
		}
	}
	if len(rest) == 0 {
		return name
	}
	return name + "{" + strings.Join(rest, ",") + "}"
}

// jsonNumber is a float64 that JSON can hold: NaN and the infinities become strings.
type jsonNumber float64

func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if x := float64(n); math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.AppendQuote(nil, strconv.FormatFloat(x, 'g', -1, 64)), nil
	}
	return appendNumber(nil, float64(n)), nil
}

// diffLine is what --json says of a series.
type diffLine struct {
	Change reading.Kind      `json:"change"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Old    *jsonNumber       `json:"old,omitempty"`
	New    *jsonNumber       `json:"new,omitempty"`
	Delta  *jsonNumber       `json:"delta,omitempty"`
}

// diffSummary is what --json says in the end.
type diffSummary struct {
	Account    string `json:"account"`
	Source     string `json:"source,omitempty"`
	Target     string `json:"target"`
	OldEpochUs int64  `json:"old_epoch_us"`
	NewEpochUs int64  `json:"new_epoch_us"`
	Changed    int    `json:"changed"`
	Added      int    `json:"added"`
	Removed    int    `json:"removed"`
	Same       int    `json:"same"`
}

func (v *diffView) json() error {
	for _, c := range v.difference.Changes {
		if err := table.JSON(v.out, lineOf(c)); err != nil {
			return err
		}
	}
	d := v.difference
	return table.JSON(v.out, struct {
		Summary diffSummary `json:"summary"`
	}{diffSummary{
		Account: v.target.Account, Source: v.target.Source, Target: v.target.Target.Name, OldEpochUs: v.old.Epoch, NewEpochUs: v.new.Epoch,
		Changed: d.Changed, Added: d.Added, Removed: d.Removed, Same: d.Same,
	}})
}

func lineOf(c reading.Change) diffLine {
	line := diffLine{Change: c.Kind, Labels: make(map[string]string, len(c.Labels))}
	for _, l := range c.Labels {
		if l.Name == scrape.MetricName {
			line.Name = l.Value
			continue
		}
		line.Labels[l.Name] = l.Value
	}
	number := func(x float64) *jsonNumber { return (*jsonNumber)(&x) }
	if c.Kind != reading.Added {
		line.Old = number(c.Old)
	}
	if c.Kind != reading.Removed {
		line.New = number(c.New)
	}
	if c.Kind == reading.Changed {
		line.Delta = number(c.Delta())
	}
	return line
}
