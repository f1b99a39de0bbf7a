package tail

import (
	"strconv"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

// column is one column of a table.
type column struct {
	title   string
	width   int
	right   bool // numbers end at the same place
	keepEnd bool // what is too long loses its beginning
	text    func(e *eventpb.ScrapeWritten, at time.Time) string
	mark    func(e *eventpb.ScrapeWritten) bool // whether to point the cell out
}

const gutter = "  "

// Widths of the columns that can shrink or grow, in characters. The usual target, an IPv4 address with port and job, has 30.
const (
	minTarget, usualTarget, maxTarget = 16, 30, 48
	minPath                           = 32 // the end of a path: the epoch, twice
)

// layout returns the columns for a width. In a narrow terminal the column of inferred samples goes first, then the account;
// a wide one also has the path, which others leave out, as it repeats account, target and time.
func layout(width int, account bool) []column {
	var columns []column
	spare := 0 // for target and path
	for _, show := range [...]struct{ account, inferred bool }{{account, true}, {account, false}, {false, false}} {
		account = show.account
		columns = fixed(account, show.inferred)
		if spare = width - total(columns) - len(gutter); spare >= minTarget {
			break
		}
	}
	target, path := share(spare)
	return arrange(columns, account, target, path)
}

// share divides what the other columns leave between target and path; a path of 0 is not shown.
func share(spare int) (target, path int) {
	path = spare - usualTarget - len(gutter)
	if path < minPath {
		return min(max(spare, minTarget), maxTarget), 0
	}
	target = min(usualTarget+max(0, path-2*minPath), maxTarget)
	return target, spare - target - len(gutter)
}

// arrange puts the target behind time and account, and the path at the end.
func arrange(columns []column, account bool, target, path int) []column {
	at := 1
	if account {
		at = 2
	}
	out := append(columns[:at:at], column{title: "TARGET", width: target, text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return targetName(e) }})
	out = append(out, columns[at:]...)
	if path > 0 {
		out = append(out, column{title: "PATH", width: path, keepEnd: true, text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return table.Clean(e.GetDataPath()) }})
	}
	return out
}

// fixed returns the columns whose width is always the same.
func fixed(account, inferred bool) []column {
	columns := []column{{title: "TIME", width: 8, text: func(_ *eventpb.ScrapeWritten, at time.Time) string { return at.Format(time.TimeOnly) }}}
	if account {
		columns = append(columns, column{title: "ACCOUNT", width: 10, text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return table.Clean(e.GetAccount()) }})
	}
	columns = append(columns, column{title: "SAMPLES", width: 7, right: true, text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return count(e.GetSamples()) }})
	if inferred {
		columns = append(columns, column{
			title: "INFERRED", width: 8, right: true,
			text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return count(e.GetInferred()) },
			mark: func(e *eventpb.ScrapeWritten) bool { return e.GetInferred() > 0 },
		})
	}
	return append(columns, column{title: "SIZE", width: 7, right: true, text: func(e *eventpb.ScrapeWritten, _ time.Time) string { return table.Size(e.GetBytes()) }})
}

func count(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// total returns the width of columns side by side.
func total(columns []column) int {
	sum := len(gutter) * (len(columns) - 1)
	for _, c := range columns {
		sum += c.width
	}
	return sum
}
