package deadletter

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/table"
	"github.com/zstats/zstats/pkg/when"
)

// WriteList shows letters as rows.
func WriteList(o table.Options, letters []*Letter, zone *time.Location) error {
	columns := []table.Column{
		{Title: "SEQUENCE", Right: true}, {Title: "RECEIVED"}, {Title: "ACCOUNT", Min: 7}, {Title: "TARGET", Min: 12, KeepEnd: true},
		{Title: "REASON", Min: 6}, {Title: "HOLDS"}, {Title: "DETAIL", Min: 8},
	}
	anyRequeued := false
	for _, l := range letters {
		anyRequeued = anyRequeued || l.Requeued
	}
	if anyRequeued {
		columns = append(columns, table.Column{Title: "REQUEUED"})
	}
	rows := make([][]string, len(letters))
	for i, l := range letters {
		rows[i] = []string{
			strconv.FormatUint(l.Sequence, 10), moment(l.Received, time.DateTime, zone), l.Target.Account, inAccount(l.Target),
			l.Reason, l.holds(), l.FirstLine(), yesNo(l.Requeued),
		}
	}
	return table.Write(o, columns, rows)
}

// holds says what is in a letter in a few characters.
func (l *Letter) holds() string {
	switch {
	case l.Blobs > 0:
		return plural(l.Blobs, "blob")
	case l.Stage == event.StageWriter:
		return "1 scrape"
	default:
		return table.Size(uint64(l.Bytes))
	}
}

// WriteContent shows all that is known of a letter.
func WriteContent(o table.Options, c *Content, zone *time.Location) error {
	if err := table.Write(o, []table.Column{{}, {}}, c.facts(zone)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.Out, "\n%s\n", indent(c.Detail)); err != nil {
		return err
	}
	columns, rows := c.blobRows(zone)
	if len(rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(o.Out); err != nil {
		return err
	}
	return table.Write(o, columns, rows)
}

func (c *Content) facts(zone *time.Location) [][]string {
	facts := [][]string{
		{"sequence", strconv.FormatUint(c.Sequence, 10)},
		{"received", moment(c.Received, when.Layout, zone)},
		{"account", c.Target.Account},
		{"target", inAccount(c.Target)},
		{"stage", c.Stage},
		{"reason", c.Reason},
		{"payload", plural(c.Bytes, "byte")},
		{"requeued", yesNo(c.Requeued)},
	}
	if len(c.Copies) > 0 {
		facts[0][1] += ", copies " + join(c.Copies)
	}
	if c.RawSequence > 0 {
		facts = append(facts, []string{"message of RAW", strconv.FormatUint(c.RawSequence, 10)})
	}
	if c.ScrapesSequence > 0 {
		facts = append(facts, []string{"message of SCRAPES", strconv.FormatUint(c.ScrapesSequence, 10)})
	}
	if st := c.State; st != nil {
		facts = append(facts,
			[]string{"epoch", moment(st.Epoch, when.Layout, zone)}, []string{"schema", st.Schema.String()})
	}
	if c.Fault != nil {
		facts = append(facts, []string{"can't be decoded", firstLine(c.Fault.Error())})
	}
	return facts
}

// blobRows has a row for each blob, or one for the scrape.
func (c *Content) blobRows(zone *time.Location) ([]table.Column, [][]string) {
	columns := []table.Column{{Title: "GENERATION", Right: true}, {Title: "SCRAPED"}, {Title: "SAMPLES", Right: true}, {Title: "KIND"}}
	var rows [][]string
	add := func(generation, ms int64, samples int, kind string) {
		at := time.UnixMilli(ms).In(zone).Format("2006-01-02 15:04:05.000")
		rows = append(rows, []string{strconv.FormatInt(generation, 10), at, strconv.Itoa(samples), kind})
	}
	for _, b := range c.Blobs {
		add(b.Generation, b.Time, b.Samples, kindOf(b))
	}
	if c.State != nil {
		add(c.State.Generation, c.State.Time, len(c.State.Values), "scrape")
	}
	return columns, rows
}

func kindOf(b *scrape.Blob) string {
	if b.Full() {
		return "full"
	}
	return fmt.Sprintf("incremental, %d changed", len(b.Index))
}

// WriteResult says in a line what became of a letter, or what would.
func WriteResult(w io.Writer, r *Result, dry bool) error {
	outcome := string(r.Outcome())
	if dry {
		outcome = "would be " + outcome
	}
	var what []string
	for _, part := range []struct {
		n    int
		text string
	}{{r.Scrapes, ""}, {r.Earlier, " published before"}, {r.Accepted, " written meanwhile"}} {
		if part.n > 0 {
			what = append(what, plural(part.n, "scrape")+part.text)
		}
	}
	what = append(what, r.Faults...)
	_, err := fmt.Fprintf(w, "%d  %s  %s: %s\n", r.Sequence, table.Clean(r.Target.String()), outcome, table.Clean(strings.Join(what, "; ")))
	return err
}

func moment(us int64, layout string, zone *time.Location) string {
	if us == 0 {
		return "-"
	}
	return time.UnixMicro(us).In(zone).Format(layout)
}

// inAccount shows a target within its account: name, or @source/name.
func inAccount(t scrape.Target) string {
	if t.Source == "" {
		return t.Name
	}
	return "@" + t.Source + "/" + t.Name
}

func indent(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = "  " + table.Clean(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
