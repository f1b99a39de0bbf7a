package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/glob"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
	"github.com/zstats/zstats/replay"
)

// replayFlags are the flags of `zstats replay`.
type replayFlags struct {
	log          logSource
	from         string
	since, until string
	account      string
	target       string
	to           string
	overwrite    bool
	verify       string
	cpus         int
	stateMemory  size
	json         bool
}

func replayCommand() *cobra.Command {
	f := replayFlags{stateMemory: 1 << 30}
	cmd := &cobra.Command{
		Use:   "replay --from raw|scrapes (--to DIR | --verify DIR)",
		Short: "Make the files again from the log, or compare files with it",
		Long: `Read the log again and make the files of its scrapes in another directory: from RAW, what collectors sent, with the
assembler's fold; or from SCRAPES, what the assembler made of it. A replay of the whole log by the same version gives the
same files to the last byte. It only reads the log, which a running pipeline may be using.

A replay that was interrupted goes on where it was when it is called again in the same way. Times select by the epochs of
scrapes, as 'zstats ls' shows them.

With --verify nothing is written: the scrapes are compared with the files in a directory, their decompressed text and their
parsed json. A scrape that is missing, one that the log does not give, and one that differs are shown, and the exit code is 1.`,
		Example: `  zstats replay --from scrapes --to ./files-new
  zstats replay --from raw --since 2d --account acme --target '*.node' --to ./files-new
  zstats replay --from raw --verify ./data/files`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			return f.run(cmd.Context(), displayOf(cmd, now), now)
		},
	}
	flags := cmd.Flags()
	f.log.register(flags)
	flags.StringVar(&f.from, "from", "", "raw: fold again what collectors sent; scrapes: render again what the assembler made of it")
	flags.StringVar(&f.since, "since", "", "only scrapes from then on: so long ago, as 10m, 36h or 3d, or a time, as '2026-11-25 14:00'")
	flags.StringVar(&f.until, "until", "", "only scrapes until then, inclusive; like --since")
	flags.StringVar(&f.account, "account", "", "only this account")
	flags.StringVar(&f.target, "target", "", "only targets that match this pattern of '*', '?' and '\\' for escapes, as '*.node'")
	flags.StringVar(&f.to, "to", "", "directory for the files, which must be empty or hold the same replay, interrupted")
	flags.BoolVar(&f.overwrite, "overwrite", false, "allow --to to hold files; those that differ are replaced")
	flags.StringVar(&f.verify, "verify", "", "compare with the files in this directory instead of writing")
	flags.IntVar(&f.cpus, "cpus", 0, "processors to use; 0 for half of them, or all if no pipeline runs in the data directory")
	flags.Var(&f.stateMemory, "state-memory", "memory for the states of targets, with --from raw; others wait in a temporary file")
	flags.BoolVar(&f.json, "json", false, "write the differences and the report as JSON, an object a line")
	atMostOne(cmd, "to", "verify")
	atMostOne(cmd, "overwrite", "verify")
	atLeastOne(cmd, "give --to DIR for files to be made, or --verify DIR for files to be compared", "to", "verify")
	_ = cmd.MarkFlagRequired("from") // fails only for a flag that isn't there
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions([]string{"raw", "scrapes"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *replayFlags) run(ctx context.Context, d *display, now time.Time) error {
	o, err := f.options(now)
	if err != nil {
		return err
	}
	b, closeLog, err := f.log.open(ctx, "replay")
	if err != nil {
		return err
	}
	defer closeLog()
	o.Bus, o.Parallel = b, f.share()
	runtime.GOMAXPROCS(o.Parallel)
	differences := differenceTable{display: d, json: f.json}
	o.Found = differences.add
	r, err := replay.New(o)
	if err != nil {
		return err
	}
	stop := showProgress(d.notes, r)
	report, err := r.Run(ctx)
	stop()
	if errors.Is(err, replay.ErrInterrupted) {
		return f.interrupted(&o, r.Progress(), err)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(differences.write(), f.write(d, &report, time.Since(now))); err != nil {
		return err
	}
	return verdict(&report)
}

// share returns how many processors to use: a pipeline that runs beside the replay keeps half of them.
func (f *replayFlags) share() int {
	all := runtime.GOMAXPROCS(0)
	switch {
	case f.cpus > 0:
		return min(f.cpus, all)
	case f.log.own:
		return all
	}
	return max(1, all/2)
}

func (f *replayFlags) options(now time.Time) (o replay.Options, err error) {
	o = replay.Options{
		Source: replay.Source(f.from), Account: f.account, Target: f.target, To: f.to, Overwrite: f.overwrite, Verify: f.verify,
		StateBytes: int64(f.stateMemory), Logger: zap.NewNop(),
	}
	if o.Source != replay.FromRaw && o.Source != replay.FromScrapes {
		return o, usagef("--from is %q; give raw or scrapes", f.from)
	}
	if f.cpus < 0 || f.stateMemory < 1 {
		return o, usagef("--cpus and --state-memory must be positive")
	}
	if o.Since, err = momentOf("since", f.since, now); err != nil {
		return o, err
	}
	if o.Until, err = momentOf("until", f.until, now); err != nil {
		return o, err
	}
	if !o.Since.IsZero() && !o.Until.IsZero() && o.Since.After(o.Until) {
		return o, usagef("--since is after --until")
	}
	if _, err := glob.Parse(f.target); err != nil {
		return o, usagef("--target: %w", err)
	}
	return o, nil
}

// momentOf returns what a flag's value means, zero if it is empty.
func momentOf(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	at, err := when.Parse(value, now)
	if err != nil {
		return at, usagef("--%s %w", flag, err)
	}
	return at, nil
}

// interrupted says how to go on.
func (f *replayFlags) interrupted(o *replay.Options, p replay.Progress, err error) error {
	if f.verify != "" {
		return fmt.Errorf("%w at %s", err, percent(p))
	}
	return fmt.Errorf("%w at %s, to go on:\n  %s", err, percent(p), f.again(o))
}

// again returns a command line that goes on with a replay. Its times are absolute.
func (f *replayFlags) again(o *replay.Options) string {
	line := []string{os.Args[0], "replay", "--from", f.from, "--to", quoted(f.to)}
	option := func(name, value string) {
		if value != "" {
			line = append(line, "--"+name, quoted(value))
		}
	}
	if f.log.natsURL == "" {
		option("data-dir", f.log.dataDir)
	}
	option("nats-url", f.log.natsURL)
	option("nats.credentials", f.log.natsCredentials)
	option("since", epochOf(o.Since))
	option("until", epochOf(o.Until))
	option("account", f.account)
	option("target", f.target)
	if f.overwrite {
		line = append(line, "--overwrite")
	}
	return strings.Join(line, " ")
}

// epochOf shows a time as flags take it, to the microsecond; the zero time is empty.
func epochOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// quoted returns a word as a shell takes it.
func quoted(s string) string {
	special := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@=+,", r))
	}
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// verdict returns what makes the exit code 1.
func verdict(r *replay.Report) error {
	switch n := r.DifferenceCount(); {
	case n > 0:
		return &exitError{code: 1}
	case r.Conflicts > 0:
		return fmt.Errorf("%d scrapes are not written, as something else has their place", r.Conflicts)
	case r.Trimmed:
		return errors.New("the log was trimmed before all of it was read: scrapes are missing; begin again")
	}
	return nil
}

// differenceTable shows differences: as JSON at once, as a table at the end.
type differenceTable struct {
	display *display
	json    bool
	rows    [][]string
	more    int
	err     error
}

// maxDifferences is how many rows the table has.
const maxDifferences = 1000

// differenceJSON is the form of a difference for machines.
type differenceJSON struct {
	Difference replay.Kind `json:"difference"`
	Account    string      `json:"account"`
	Source     string      `json:"source,omitempty"`
	Target     string      `json:"target"`
	Epoch      int64       `json:"epoch_us"`
	Path       string      `json:"path"`
	Detail     string      `json:"detail"`
}

func (t *differenceTable) add(d replay.Difference) {
	switch {
	case t.json && t.err == nil:
		t.err = table.JSON(t.display.out, differenceJSON{
			d.Kind, d.Target.Account, d.Target.Source, d.Target.Name, d.Epoch, d.Path, d.Detail,
		})
	case t.json:
	case len(t.rows) == maxDifferences:
		t.more++
	default:
		t.rows = append(t.rows, []string{string(d.Kind), d.Path, d.Detail})
	}
}

func (t *differenceTable) write() error {
	if len(t.rows) == 0 || t.err != nil {
		return t.err
	}
	columns := []table.Column{{Title: "DIFFERENCE"}, {Title: "SCRAPE", Min: 20, KeepEnd: true}, {Title: "DETAIL", Min: 20}}
	err := t.display.table(columns, t.rows)
	if err == nil && t.more > 0 {
		_, err = fmt.Fprintf(t.display.out, "… and %d more; --json shows all\n", t.more)
	}
	return err
}

// write shows the report.
func (f *replayFlags) write(d *display, r *replay.Report, took time.Duration) error {
	if f.json {
		return table.JSON(d.out, struct {
			Report *replay.Report `json:"report"`
		}{r})
	}
	var out strings.Builder
	took = took.Round(time.Millisecond)
	if f.verify == "" {
		if r.Finished {
			out.WriteString("it was finished before; --overwrite adds what the log has got since\n")
		}
		fmt.Fprintf(&out, "%s scrapes from %s messages", grouped(r.Scrapes), grouped(r.Messages))
		if !r.Finished {
			fmt.Fprintf(&out, " in %s", took)
		}
		fmt.Fprintf(&out, ": %s written", grouped(r.Written))
		some(&out, ", %s of them in place of others", r.Replaced)
		some(&out, ", %s there already", r.Same)
		some(&out, ", %s not written as something else has their place", r.Conflicts)
	} else {
		fmt.Fprintf(&out, "%s scrapes from %s messages compared in %s: %s the same", grouped(r.Scrapes), grouped(r.Messages), took, grouped(r.Same))
		for _, kind := range replay.Kinds() {
			some(&out, ", %s "+string(kind), r.Differences[kind])
		}
		some(&out, "; %s on disk are older than what the log gives", r.Uncovered)
	}
	out.WriteString("\n")
	some(&out, "%s blobs were duplicates\n", r.Duplicates)
	for _, reason := range slices.Sorted(maps.Keys(r.Refused)) {
		some(&out, "%s refused: "+reason+"\n", r.Refused[reason])
	}
	if r.GoneTargets > 0 {
		fmt.Fprintf(&out, "%s targets begin with what the log can't rebuild, up to their next full blob:%s\n", grouped(r.GoneTargets), names(r.Gone, r.GoneTargets))
	}
	_, err := io.WriteString(d.out, out.String())
	return err
}

// some writes a number in a text unless it is 0.
func some(w io.Writer, format string, n int64) {
	if n > 0 {
		fmt.Fprintf(w, format, grouped(n))
	}
}

// names shows targets, a line each.
func names(targets []scrape.Target, of int64) string {
	var out strings.Builder
	for _, t := range targets {
		out.WriteString("\n  " + table.Clean(t.String()))
	}
	if more := of - int64(len(targets)); more > 0 {
		fmt.Fprintf(&out, "\n  … and %d more", more)
	}
	return out.String()
}

// grouped shows a number with commas between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// showProgress shows how far a replay has come until the returned function is called: on a terminal a bar, elsewhere a line every
// ten seconds.
func showProgress(notes io.Writer, r *replay.Replay) (stop func()) {
	width, every := 0, 10*time.Second
	if f, ok := notes.(*os.File); ok {
		if width = terminalWidth(f); width > 0 {
			every = 200 * time.Millisecond
		}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				showStep(notes, width, r.Progress(), time.Since(start))
			case <-quit:
				if width > 0 {
					fmt.Fprint(notes, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func showStep(notes io.Writer, width int, p replay.Progress, took time.Duration) {
	if p.Total == 0 {
		return
	}
	line := progressLine(p, took)
	if width == 0 {
		fmt.Fprintf(notes, "zstats replay: %s\n", line)
		return
	}
	room := min(width-len(line)-4, 40)
	bar := ""
	if room >= 5 {
		full := int(uint64(room) * p.Done / p.Total)
		bar = "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "] "
	}
	fmt.Fprint(notes, "\r\x1b[K"+bar+line)
}

// progressLine says how far a replay has come, how fast it is, and how long it will take.
func progressLine(p replay.Progress, took time.Duration) string {
	line := fmt.Sprintf("%s, %s scrapes, %s/s", percent(p), grouped(p.Scrapes), grouped(int64(float64(p.Scrapes)/max(took.Seconds(), 0.001))))
	if done := p.Done - p.Resumed; done > 0 && p.Done < p.Total {
		left := time.Duration(float64(took) / float64(done) * float64(p.Total-p.Done))
		line += ", " + left.Round(time.Second).String() + " left"
	}
	return line
}

func percent(p replay.Progress) string {
	if p.Total == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%d %%", 100*p.Done/p.Total)
}
