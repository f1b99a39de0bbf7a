package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// Answer is what a collector was told of a blob.
type Answer int

const (
	// Unknown: there was no answer that says; the scrape may be written or not.
	Unknown Answer = iota
	// Acknowledged: code 0; the scrape must be written, or lie in the dead letters.
	Acknowledged
	// Refused: code 1 or 2; unless it was sent again and acknowledged, it must not be written.
	Refused
)

// Sent is one scrape that was handed to zstats, however often.
type Sent struct {
	Target     scrape.Target
	Generation int64
	Time       int64 // milliseconds since the Unix epoch
	Digest     Digest
	Answer     Answer // the best of its answers
}

// Written is one scrape found on disk.
type Written struct {
	Target     scrape.Target
	Generation int64
	Time       int64
	Epoch      int64
	Digest     Digest
	// Inferred is how many of its values are marked as not proven. They may differ from what was sent.
	Inferred int
	// Path of the directory, relative to the root of the files.
	Path string
	// Err says why the files can't be read as one whole scrape.
	Err error
}

// Notified is one event.
type Notified struct {
	Target     scrape.Target
	Generation int64
	Epoch      int64
	Sequence   uint64
}

// Dead is one blob in the dead letters.
type Dead struct {
	Target     scrape.Target
	Generation int64
	Reason     string
}

// Run is all that is known of one run.
type Run struct {
	Sent     []Sent
	Written  []Written
	Notified []Notified // nil if events are not judged
	Dead     []Dead
}

// Kind says what is wrong.
type Kind string

const (
	Lost        Kind = "lost"         // acknowledged, and neither written nor in the dead letters
	Duplicated  Kind = "duplicated"   // written, or notified, more than once
	Changed     Kind = "changed"      // written with other samples than were sent
	Torn        Kind = "torn"         // not readable as a whole
	OutOfOrder  Kind = "out of order" // its epoch or event is not behind that of the scrape before
	Unexplained Kind = "unexplained"  // written, notified or dead, and never sent
	NotNotified Kind = "not notified" // written, and no event says so
	NotWritten  Kind = "not written"  // notified, and not on disk
)

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
	// Counts of what was judged.
	Sent, Acknowledged, Written, Notified, Dead int
	// Inferred is the number of scrapes with values that are not proven.
	Inferred int
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// String shows counts and findings, a line each.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d acknowledged, %d written, %d notified, %d dead, %d with inferred values, %d findings",
		r.Sent, r.Acknowledged, r.Written, r.Notified, r.Dead, r.Inferred, len(r.Findings))
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

// id identifies a scrape: two collectors of one target don't share generations, which begin with a clock in nanoseconds.
type id struct {
	target     scrape.Target
	generation int64
}

// Compare judges a run.
func Compare(run Run) Report {
	c := comparison{sent: make(map[id]Sent, len(run.Sent)), written: make(map[id][]Written), dead: make(map[id]bool)}
	for _, s := range run.Sent {
		c.sent[id{s.Target, s.Generation}] = s
	}
	c.report.Sent, c.report.Written, c.report.Notified, c.report.Dead = len(c.sent), len(run.Written), len(run.Notified), len(run.Dead)
	c.judgeWritten(run.Written)
	c.judgeDead(run.Dead)
	c.judgeSent()
	if run.Notified != nil {
		c.judgeNotified(run.Notified)
	}
	slices.SortFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Target.String(), b.Target.String()), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Kind, b.Kind))
	})
	return c.report
}

type comparison struct {
	sent    map[id]Sent
	written map[id][]Written
	dead    map[id]bool
	report  Report
}

func (c *comparison) find(k Kind, i id, format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{Kind: k, Target: i.target, Generation: i.generation, Detail: fmt.Sprintf(format, args...)})
}

func (c *comparison) judgeWritten(written []Written) {
	for _, w := range written {
		i := id{w.Target, w.Generation}
		if w.Err != nil {
			c.find(Torn, i, "%s: %v", w.Path, w.Err)
			continue
		}
		c.written[i] = append(c.written[i], w)
		if w.Inferred > 0 {
			c.report.Inferred++
		}
		s, ok := c.sent[i]
		switch {
		case !ok:
			c.find(Unexplained, i, "%s was never sent", w.Path)
		case s.Answer == Refused:
			c.find(Unexplained, i, "%s was refused", w.Path)
		case s.Time != w.Time:
			c.find(Changed, i, "%s has time %d, sent was %d", w.Path, w.Time, s.Time)
		case s.Digest != w.Digest && w.Inferred == 0:
			c.find(Changed, i, "%s has other samples than were sent", w.Path)
		}
	}
	for i, all := range c.written {
		if len(all) > 1 {
			c.find(Duplicated, i, "written %d times, %s and %s among them", len(all), all[0].Path, all[1].Path)
		}
	}
	c.judgeOrder()
}

// judgeOrder checks that epochs ascend with the generations of a chain. A generation that is behind another one without a
// gap must have the later epoch; across gaps a restart of the counter explains everything.
func (c *comparison) judgeOrder() {
	for i, all := range c.written {
		before, ok := c.written[id{i.target, i.generation - 1}]
		if ok && before[0].Epoch >= all[0].Epoch {
			c.find(OutOfOrder, i, "epoch %d is not behind %d of the generation before", all[0].Epoch, before[0].Epoch)
		}
	}
}

func (c *comparison) judgeDead(dead []Dead) {
	for _, d := range dead {
		i := id{d.Target, d.Generation}
		c.dead[i] = true
		if _, ok := c.sent[i]; !ok {
			c.find(Unexplained, i, "dead letter (%s) was never sent", d.Reason)
		}
	}
}

func (c *comparison) judgeSent() {
	for i, s := range c.sent {
		if s.Answer != Acknowledged {
			continue
		}
		c.report.Acknowledged++
		if len(c.written[i]) == 0 && !c.dead[i] {
			c.find(Lost, i, "acknowledged, and neither written nor dead")
		}
	}
}

func (c *comparison) judgeNotified(events []Notified) {
	seen := make(map[id]int)
	last := make(map[scrape.Target]Notified)
	for _, e := range events {
		i := id{e.Target, e.Generation}
		seen[i]++
		if seen[i] == 2 {
			c.find(Duplicated, i, "notified more than once, again with event %d", e.Sequence)
		}
		if len(c.written[i]) == 0 {
			c.find(NotWritten, i, "event %d speaks of it", e.Sequence)
		}
		if l, ok := last[e.Target]; ok && l.Epoch >= e.Epoch {
			c.find(OutOfOrder, i, "event %d has epoch %d, the one before has %d", e.Sequence, e.Epoch, l.Epoch)
		}
		last[e.Target] = e
	}
	for i := range c.written {
		if seen[i] == 0 {
			c.find(NotNotified, i, "no event")
		}
	}
}
