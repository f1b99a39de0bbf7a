package fold

import (
	"fmt"
	"strconv"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Message is a message of RAW, decoded.
type Message struct {
	Arrival scrape.Arrival
	Blobs   []*scrape.Blob
}

// Decode decodes a message of RAW with the given headers, sequence and payload. An error is Poison.
func Decode(h event.Header, sequence uint64, data []byte) (m Message, err error) {
	m.Arrival.Sequence = sequence
	if m.Arrival.Received, err = strconv.ParseInt(h[event.HeaderReceived], 10, 64); err != nil {
		return m, &Poison{ReasonUndecodable, fmt.Errorf("header %s: %w", event.HeaderReceived, err)}
	}
	err = Guard(func() (err error) {
		m.Blobs, err = event.DecodeBlobs(data)
		return err
	})
	if err != nil {
		return m, &Poison{ReasonUndecodable, err}
	}
	return m, nil
}

// Owner returns the target that a message of RAW speaks of, in a log of so many partitions. An error is Poison: the message is
// not one of a target on its own subject.
func Owner(h event.Header, subject string, partitions int) (scrape.Target, error) {
	t, err := h.Target()
	if err != nil {
		return t, &Poison{ReasonMisplaced, err}
	}
	return t, CheckSubject(t, event.RawSubject(t, partitions), subject)
}

// CheckSubject returns Poison if a message on a subject names a target whose subject is another.
func CheckSubject(t scrape.Target, own, subject string) error {
	if own == subject {
		return nil
	}
	return &Poison{ReasonMisplaced, fmt.Errorf("headers name %s, whose subject is %s, but the message is on %s", t, own, subject)}
}

// Result is what the blobs of one message make of a target's state.
type Result struct {
	State    *scrape.State // after the message; nil for a target never seen
	Accepted []Accepted
	Refused  []Refused
	// Outcomes has one entry for each blob.
	Outcomes []Outcome
	// Full tells that a full blob was accepted, Resync why another one is needed behind it, "" if none is.
	Full   bool
	Resync string
	// Conflicts are generations of another collector's run, see conflicting.
	Conflicts []int64
}

// Accepted is a state that a blob led to, with the blob's schema if it was full.
type Accepted struct {
	State  *scrape.State
	Schema *scrape.Schema
}

// Refused is a blob that can't be folded.
type Refused struct {
	Blob   *scrape.Blob
	Reason string
}

// Outcome is what became of a blob.
type Outcome struct {
	Full    bool
	Verdict scrape.Verdict
	Reason  string
}

// Reasons of Result.Resync beside those for which blobs are refused.
const (
	ReasonUnfit  = "unfit"  // a difference fits no value: the state has lost the collector's values
	ReasonStrict = "strict" // a value is not proven, and the account wants none such
)

// Apply folds a message on top of a state. The given state is not modified. An error is Poison. A strict account wants a full
// blob once a value is not proven. Each is called with every blob before it is folded, if it is not nil.
func Apply(st *scrape.State, m Message, strict bool, each func(*scrape.Blob)) (*Result, error) {
	var r *Result
	err := Guard(func() error {
		r = &Result{State: st, Accepted: make([]Accepted, 0, len(m.Blobs)), Outcomes: make([]Outcome, 0, len(m.Blobs))}
		for _, b := range m.Blobs {
			if each != nil {
				each(b)
			}
			r.Fold(b, m.Arrival, strict)
		}
		return nil
	})
	if err != nil {
		return nil, &Poison{ReasonPanic, err}
	}
	return r, nil
}

// Fold applies one blob. It is the part of Apply that is not guarded against panics.
func (r *Result) Fold(b *scrape.Blob, at scrape.Arrival, strict bool) {
	before := r.State
	next, o := before.Apply(b, at)
	r.Outcomes = append(r.Outcomes, Outcome{b.Full(), o.Verdict, o.Reason})
	switch o.Verdict {
	case scrape.Duplicate:
		return
	case scrape.Orphan, scrape.Unusable:
		r.Refused = append(r.Refused, Refused{b, o.Reason})
		r.Resync = o.Reason
		return
	}
	r.State = next
	r.Accepted = append(r.Accepted, Accepted{next, b.Schema})
	switch {
	case b.Full():
		r.Full, r.Resync = true, ""
		if conflicting(before, b.Generation) {
			r.Conflicts = append(r.Conflicts, b.Generation)
		}
	case o.Resync:
		r.Resync = ReasonUnfit
	case strict && o.Inferred > 0:
		r.Resync = ReasonStrict
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
