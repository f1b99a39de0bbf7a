package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// Kind says what is wrong.
type Kind string

const (
	Lost        Kind = "lost"         // acknowledged, and neither written nor in the dead letters
	Duplicated  Kind = "duplicated"   // written, or notified, more than once
	Changed     Kind = "changed"      // written with other samples than were sent
	Torn        Kind = "torn"         // not readable as a whole
	Misplaced   Kind = "misplaced"    // its metadata says that it belongs elsewhere
	OutOfOrder  Kind = "out of order" // its epoch or event is not behind that of the scrape before
	Unexplained Kind = "unexplained"  // written, notified or dead, and never sent; or no scrape at all
	NotNotified Kind = "not notified" // written, and no event says so
	NotWritten  Kind = "not written"  // notified, and not on disk
)

// Kinds returns all kinds, the worst first.
func Kinds() []Kind {
	return []Kind{Lost, Duplicated, Changed, Torn, Misplaced, OutOfOrder, NotWritten, NotNotified, Unexplained}
}

// Finding is one thing that is wrong.
type Finding struct {
	Kind       Kind
	Target     scrape.Target
	Generation int64
	Detail     string
}

// String shows the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s generation %d: %s", f.Kind, f.Target, f.Generation, f.Detail)
}

// Report is a judgement.
type Report struct {
	Findings []Finding
	// Counts of what was judged: blobs sent and acknowledged, scrapes written, events, blobs in the dead letters.
	Sent, Acknowledged, Written, Notified, Dead int
	// Removed is the number of scrapes that are taken for removed; see Run.Retention.
	Removed int
	// Inferred is the number of scrapes with values that are not proven.
	Inferred int
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Count returns how many findings are of a kind.
func (r Report) Count(k Kind) int {
	n := 0
	for _, f := range r.Findings {
		if f.Kind == k {
			n++
		}
	}
	return n
}

// String shows counts and the first findings, a line each.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d acknowledged, %d written, %d notified, %d dead, %d with inferred values, %d findings",
		r.Sent, r.Acknowledged, r.Written, r.Notified, r.Dead, r.Inferred, len(r.Findings))
	if r.Removed > 0 {
		fmt.Fprintf(&b, ", %d removed by retention", r.Removed)
	}
	const most = 20
	for i, f := range r.Findings {
		if i == most {
			fmt.Fprintf(&b, "\n… and %d more", len(r.Findings)-most)
			break
		}
		b.WriteString("\n" + f.String())
	}
	return b.String()
}

func sortFindings(all []Finding) {
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Target.String(), b.Target.String()),
			cmp.Compare(a.Generation, b.Generation),
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
}
