package checker

import (
	"errors"
	"fmt"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
)

// Compare judges a run.
func Compare(run Run) Report {
	c := comparison{
		run:     run,
		sent:    make(map[id]Sent, len(run.Sent)),
		known:   make(map[scrape.Target]bool),
		written: make(map[id][]Written, len(run.Written)),
		dead:    make(map[id]bool),
		oldest:  make(map[scrape.Target]Written),
		epochs:  make(map[id]int64),
		removed: make(map[id]bool),
	}
	for _, s := range run.Sent {
		c.sent[id{s.Target, s.Generation}] = s
		c.known[s.Target] = true
	}
	c.report.Sent, c.report.Written, c.report.Notified, c.report.Dead = len(c.sent), len(run.Written), len(run.Notified), len(run.Dead)
	for _, e := range run.Notified {
		c.epochs[id{e.Target, e.Generation}] = e.Epoch
	}
	c.judgeWritten()
	c.judgeOrder()
	c.judgeDead()
	c.judgeSent()
	c.judgeNotified()
	c.report.Removed = len(c.removed)
	sortFindings(c.report.Findings)
	return c.report
}

type comparison struct {
	run     Run
	sent    map[id]Sent
	known   map[scrape.Target]bool // targets of which something was sent
	written map[id][]Written
	dead    map[id]bool
	oldest  map[scrape.Target]Written // on disk
	epochs  map[id]int64              // as the events say
	removed map[id]bool               // by retention
	report  Report
}

func (c *comparison) find(k Kind, i id, format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{Kind: k, Target: i.target, Generation: i.generation, Detail: fmt.Sprintf(format, args...)})
}

func (c *comparison) judgeWritten() {
	for _, w := range c.run.Written {
		i := id{w.Target, w.Generation}
		if w.Err != nil {
			c.find(kindOf(w.Err), i, "%s: %v", w.Path, w.Err)
			continue
		}
		if w.Legacy {
			continue
		}
		c.written[i] = append(c.written[i], w)
		if o, ok := c.oldest[w.Target]; !ok || w.Epoch < o.Epoch {
			c.oldest[w.Target] = w
		}
		if w.Inferred > 0 {
			c.report.Inferred++
		}
		if s, ok := c.sent[i]; ok {
			c.judgePair(i, &s, &w)
		} else if c.mustBeKnown(w.Target) && w.Time >= c.run.Since {
			c.find(Unexplained, i, "%s was never sent", w.Path)
		}
	}
	for i, all := range c.written {
		if len(all) > 1 {
			c.find(Duplicated, i, "written %d times, %s and %s among them", len(all), all[0].Path, all[1].Path)
		}
	}
}

// mustBeKnown reports whether all that there is of a target must have been sent.
func (c *comparison) mustBeKnown(t scrape.Target) bool {
	return c.run.Sent != nil && (!c.run.Foreign || c.known[t])
}

func kindOf(err error) Kind {
	switch {
	case errors.Is(err, archive.ErrForeign):
		return Unexplained
	case errors.Is(err, archive.ErrMisplaced):
		return Misplaced
	default:
		return Torn
	}
}

// judgePair compares a scrape with what was sent.
func (c *comparison) judgePair(i id, s *Sent, w *Written) {
	switch {
	case s.Answer == Refused:
		c.find(Unexplained, i, "%s was refused", w.Path)
	case s.Time != w.Time:
		c.find(Changed, i, "%s has time %d, sent was %d", w.Path, w.Time, s.Time)
	case s.Digest == w.Digest:
	case w.Inferred == 0 || s.Exact:
		c.find(Changed, i, "%s has other samples than were sent", w.Path)
	case s.Shape != w.Shape:
		c.find(Changed, i, "%s has other labels, times or another order than were sent", w.Path)
	case s.Values == nil:
	case len(s.Values) != len(w.Values):
		c.find(Changed, i, "%s has %d values, sent were %d", w.Path, len(w.Values), len(s.Values))
	default:
		if n := differing(s.Values, w.Values); n > w.Inferred {
			c.find(Changed, i, "%s has %d values that differ from those sent, and only %d are inferred", w.Path, n, w.Inferred)
		}
	}
}

func (c *comparison) judgeDead() {
	for _, d := range c.run.Dead {
		i := id{d.Target, d.Generation}
		if d.Reason == "" {
			c.find(Unexplained, i, "its dead letter says no reason")
		}
		if d.Opaque {
			if c.run.Sent != nil && !c.run.Foreign && !c.run.Planted[d.RawSequence] {
				c.find(Unexplained, i, "dead letter (%s) of message %d of RAW can't be decoded, and nobody planted it", d.Reason, d.RawSequence)
			}
			continue
		}
		c.dead[i] = true
		if _, ok := c.sent[i]; !ok && c.mustBeKnown(d.Target) && c.run.Since == 0 {
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
		switch {
		case len(c.written[i]) > 0 || c.dead[i] || c.wasRemoved(i, s.Time):
		case c.run.Dead == nil:
			c.find(Lost, i, "acknowledged, and not written; the dead letters were not looked at")
		default:
			c.find(Lost, i, "acknowledged, and neither written nor dead")
		}
	}
}

func (c *comparison) judgeNotified() {
	if c.run.Notified == nil {
		return
	}
	seen := make(map[id]int)
	first := make(map[scrape.Target]int64) // epoch of the first event
	last := make(map[scrape.Target]Notified)
	for _, e := range c.run.Notified {
		i := id{e.Target, e.Generation}
		seen[i]++
		if seen[i] == 2 {
			c.find(Duplicated, i, "notified more than once, again with event %d", e.Sequence)
		}
		if len(c.written[i]) == 0 && !c.wasRemoved(i, 0) {
			c.find(NotWritten, i, "event %d speaks of it", e.Sequence)
		}
		if e.Late {
			continue
		}
		l, ok := last[e.Target]
		if !ok {
			first[e.Target] = e.Epoch
		} else if l.Epoch >= e.Epoch {
			c.find(OutOfOrder, i, "event %d has epoch %d, the one before has %d", e.Sequence, e.Epoch, l.Epoch)
		}
		last[e.Target] = e
	}
	for i, all := range c.written {
		if seen[i] > 0 {
			continue
		}
		if epoch, ok := first[i.target]; c.run.EventsTrimmed && (!ok || all[0].Epoch < epoch) {
			continue
		}
		c.find(NotNotified, i, "no event")
	}
}

// wasRemoved reports whether a scrape that is not on disk may have been removed for its age, and counts it. Its time decides
// where no event tells its epoch.
func (c *comparison) wasRemoved(i id, time int64) bool {
	oldest, ok := c.oldest[i.target]
	if !c.run.Retention || !ok {
		return false
	}
	epoch, known := c.epochs[i]
	if known && epoch >= oldest.Epoch || !known && time >= oldest.Time {
		return false
	}
	c.removed[i] = true
	return true
}
