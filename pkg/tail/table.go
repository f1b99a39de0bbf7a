package tail

import (
	"io"
	"strings"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

// TableOptions configure a Table.
type TableOptions struct {
	// Out is the terminal. Notes takes what is not data.
	Out, Notes io.Writer
	// Width returns the terminal's width in characters, asked before each row because it may change.
	Width func() int
	// Color allows escape sequences for colours.
	Color bool
	// OneAccount leaves out the account, which is the same in all rows.
	OneAccount bool
	// Zone of the times, and today's date in it: a row of another day is announced by a line with its date.
	Zone  *time.Location
	Today time.Time
}

// Table shows events in columns that fit a terminal.
type Table struct {
	o       TableOptions
	width   int // for which columns are laid out
	columns []column
	day     string
}

var _ View = (*Table)(nil)

// NewTable returns a view of which nothing is shown yet.
func NewTable(o TableOptions) *Table {
	return &Table{o: o, day: o.Today.In(o.Zone).Format(time.DateOnly)}
}

const (
	dim    = "\x1b[2m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// Header shows the columns' titles. It is repeated when the width changes.
func (t *Table) Header() error {
	t.layOut()
	cells := make([]string, len(t.columns))
	for i, c := range t.columns {
		cells[i] = table.Fit(c.title, c.width, c.right, false)
	}
	return t.line(t.color(dim, strings.TrimRight(strings.Join(cells, gutter), " ")))
}

// Event shows a row.
func (t *Table) Event(e *eventpb.ScrapeWritten) error {
	if t.o.Width() != t.width {
		if err := t.Header(); err != nil {
			return err
		}
	}
	at := time.UnixMicro(e.GetEpochUs()).In(t.o.Zone)
	if day := at.Format(time.DateOnly); day != t.day {
		t.day = day
		if err := t.line(t.color(dim, day)); err != nil {
			return err
		}
	}
	return t.line(t.row(e, at))
}

// Gap shows a note of a gap.
func (t *Table) Gap(g *eventpb.Gap) error { return noteGap(t.o.Notes, g) }

func (t *Table) row(e *eventpb.ScrapeWritten, at time.Time) string {
	cells := make([]string, len(t.columns))
	for i, c := range t.columns {
		cells[i] = table.Fit(c.text(e, at), c.width, c.right, c.keepEnd)
		if c.mark != nil && c.mark(e) {
			cells[i] = t.color(yellow, cells[i])
		}
	}
	return strings.TrimRight(strings.Join(cells, gutter), " ")
}

func (t *Table) color(code, s string) string {
	if !t.o.Color {
		return s
	}
	return code + s + reset
}

func (t *Table) line(s string) error {
	_, err := io.WriteString(t.o.Out, s+"\n")
	return err
}

// layOut chooses the columns for the present width.
func (t *Table) layOut() {
	t.width = t.o.Width()
	t.columns = layout(t.width, !t.o.OneAccount)
}
