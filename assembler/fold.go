package assembler

import (
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// message is a delivery, decoded.
type message struct {
	arrival scrape.Arrival
	blobs   []*scrape.Blob
}

func decode(d *bus.Delivery) (m message, err error) {
	m.arrival.Sequence = d.Sequence
	if m.arrival.Received, err = strconv.ParseInt(d.Header[event.HeaderReceived], 10, 64); err != nil {
		return m, fmt.Errorf("header %s: %w", event.HeaderReceived, err)
	}
	err = guard(func() (err error) {
		m.blobs, err = event.DecodeBlobs(d.Data)
		return err
	})
	return m, err
}

// guard turns a panic of f into an error: whatever a message holds, it must not hold up the others.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// folded is what the blobs of one message make of a target's state.
type folded struct {
	state    *scrape.State // after the message
	accepted []accepted
	refused  []refused
	// outcomes has one entry for each blob.
	outcomes []outcome
	// full tells that a full blob was accepted, resync why another one is needed behind it, "" if none is.
	full   bool
	resync string
	// conflicts are generations of another collector's run, see conflicting.
	conflicts []int64
}

// accepted is a state that a blob led to, with the blob's schema if it was full.
type accepted struct {
	state  *scrape.State
	schema *scrape.Schema
}

// refused is a blob that can't be folded.
type refused struct {
	blob   *scrape.Blob
	reason string
}

// outcome is what became of a blob.
type outcome struct {
	full    bool
	verdict scrape.Verdict
	reason  string
}

func (a *Assembler) foldGuarded(t *target, m message) (f *folded, err error) {
	strict := a.o.Strict(t.Account)
	err = guard(func() error {
		f = &folded{
			state: t.state, accepted: make([]accepted, 0, len(m.blobs)), outcomes: make([]outcome, 0, len(m.blobs)),
		}
		for _, b := range m.blobs {
			a.o.hook(t.Target, b)
			f.fold(b, m.arrival, strict)
		}
		return nil
	})
	if err != nil {
		return nil, &poison{reasonPanic, err}
	}
	return f, nil
}

// fold applies one blob. A strict account wants a full blob once a value is not proven.
func (f *folded) fold(b *scrape.Blob, at scrape.Arrival, strict bool) {
	before := f.state
	next, o := before.Apply(b, at)
	f.outcomes = append(f.outcomes, outcome{b.Full(), o.Verdict, o.Reason})
	switch o.Verdict {
	case scrape.Duplicate:
		return
	case scrape.Orphan, scrape.Unusable:
		f.refused = append(f.refused, refused{b, o.Reason})
		f.resync = o.Reason
		return
	}
	f.state = next
	f.accepted = append(f.accepted, accepted{next, b.Schema})
	switch {
	case b.Full():
		f.full, f.resync = true, ""
		if conflicting(before, b.Generation) {
			f.conflicts = append(f.conflicts, b.Generation)
		}
	case o.Resync:
		f.resync = reasonUnfit
	case strict && o.Inferred > 0:
		f.resync = reasonStrict
	}
}

// conflicting reports whether a full blob of generation g, accepted after st, goes on with a run that another run has
// interrupted. One collector does that at most once, when it sends what it has kept on disk; two collectors that use the
// name of one target do it all the time, as each makes the other's increments impossible.
func conflicting(st *scrape.State, g int64) bool {
	if st == nil || len(st.Runs) < 2 {
		return false
	}
	for _, r := range st.Runs[:len(st.Runs)-1] { // no two runs end alike, so g does not go on with the last one too
		if scrape.Follows(r.Last, g) {
			return true
		}
	}
	return false
}
