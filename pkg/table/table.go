package table

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Column describes one column.
type Column struct {
	Title string
	// Right has the cells end at the same place, as numbers should.
	Right bool
	// Min is how narrow the column may become in a narrow terminal, in characters; 0 is never cut.
	Min int
	// KeepEnd has cells that are cut lose their beginning instead of their end, KeepBoth their middle.
	KeepEnd  bool
	KeepBoth bool
}

// Options say where a table is shown.
type Options struct {
	Out io.Writer
	// Width of the terminal in characters; 0 is no terminal, where nothing is cut.
	Width int
	// Color allows escape sequences for colours.
	Color bool
}

const (
	gutter = "  "
	dim    = "\x1b[2m"
	reset  = "\x1b[0m"
)

// Write shows the titles and the rows, of which each has a cell for every column. Without any title there is no line of titles.
// Lines are wider than the terminal only if the columns can't be made narrower.
func Write(o Options, columns []Column, rows [][]string) error {
	clean := make([][]string, len(rows))
	for i, row := range rows {
		clean[i] = make([]string, len(columns))
		for j := range columns {
			clean[i][j] = Clean(row[j])
		}
	}
	widths := layOut(o.Width, columns, clean)
	var out strings.Builder
	if titles, any := titlesOf(columns); any {
		head := line(columns, widths, titles)
		if o.Color {
			head = dim + head + reset
		}
		out.WriteString(head + "\n")
	}
	for _, row := range clean {
		out.WriteString(line(columns, widths, row) + "\n")
	}
	_, err := io.WriteString(o.Out, out.String())
	return err
}

func titlesOf(columns []Column) (titles []string, any bool) {
	for _, c := range columns {
		titles = append(titles, c.Title)
		any = any || c.Title != ""
	}
	return titles, any
}

// layOut returns the columns' widths: what their cells need, less what the terminal doesn't have, taken from the widest of
// those that may be cut.
func layOut(width int, columns []Column, rows [][]string) []int {
	widths := make([]int, len(columns))
	total := len(gutter) * (len(columns) - 1)
	for j, c := range columns {
		widths[j] = utf8.RuneCountInString(c.Title)
		for _, row := range rows {
			widths[j] = max(widths[j], utf8.RuneCountInString(row[j]))
		}
		total += widths[j]
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for j, c := range columns {
			if c.Min > 0 && widths[j] > c.Min && (widest < 0 || widths[j] > widths[widest]) {
				widest = j
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

func line(columns []Column, widths []int, row []string) string {
	cells := make([]string, len(columns))
	for j, c := range columns {
		cell := row[j]
		if c.KeepBoth {
			cell = cutMiddle(cell, widths[j])
		}
		cells[j] = Fit(cell, widths[j], c.Right, c.KeepEnd)
	}
	return strings.TrimRight(strings.Join(cells, gutter), " ")
}
