package scrape

import "slices"

// Apply folds b into st. A nil st stands for the zero State. If b is accepted, the new state is returned; in every other
// case st itself. Neither st nor b is modified. The new state may share slices with st, but none with b. Whatever b
// holds, Apply doesn't panic.
//
// A blob whose generation lies in a known run is a Duplicate, whatever else is true of it. A full blob is accepted with
// any other generation and replaces schema, values and times. An incremental one must be made for this state: the next
// generation, and as many samples.
//
// The new state's epoch is the time of arrival, but at least the previous epoch + 1. Announced stays as it is while the
// schema stays and is 0 under a new one.
func (st *State) Apply(b *Blob, at Arrival) (*State, Outcome) {
	old := st
	if old == nil {
		old = new(State)
	}
	if contains(old.Runs, b.Generation) {
		return st, Outcome{Verdict: Duplicate, Reason: ReasonDuplicate}
	}
	var next *State
	var out Outcome
	if b.Full() {
		next, out = old.replace(b, at.Sequence)
	} else {
		next, out = old.advance(b)
	}
	if out.Verdict != Accepted {
		return st, out
	}
	next.Generation, next.Time, next.Full = b.Generation, b.Time, b.Full()
	next.Received, next.Epoch = at.Received, max(at.Received, old.Epoch+1)
	next.Sequence = at.Sequence
	next.Runs = withGeneration(old.Runs, b.Generation)
	out.Inferred = len(next.Inferred)
	return next, out
}

// replace returns what the full blob b makes of st's schema and samples. Apply sets what comes from the blob's head.
func (st *State) replace(b *Blob, sequence uint64) (*State, Outcome) {
	n := b.Samples
	if len(b.Schema.Series) != n || len(b.Values) != n || len(b.Times) != n || len(b.Index) != 0 {
		return nil, unusable(ReasonLength)
	}
	next := &State{FullSequence: sequence}
	next.Schema = b.Schema.Hash()
	next.Values = slices.Clone(b.Values)
	for i, t := range b.Times {
		if t != b.Time {
			next.Stamps = append(next.Stamps, Stamp{Index: int32(i), Time: t})
		}
	}
	if next.Schema == st.Schema {
		next.Announced = st.Announced
	}
	return next, Outcome{}
}

// advance does the same with an incremental blob.
func (st *State) advance(b *Blob) (*State, Outcome) {
	if out := st.follow(b); out.Verdict != Accepted {
		return nil, out
	}
	pass := newPass(st, b)
	if reason := pass.run(); reason != "" {
		return nil, unusable(reason)
	}
	next := &State{FullSequence: st.FullSequence, Announced: st.Announced}
	next.Schema = st.Schema
	next.Values = pass.values
	next.Stamps = pass.stamps
	next.Inferred = merge(st.Inferred, pass.doubted)
	return next, Outcome{Resync: pass.contradicted}
}

// follow judges whether b was made for st, and whether its lists fit each other.
func (st *State) follow(b *Blob) Outcome {
	switch {
	case st.Schema.IsZero():
		return orphan(ReasonNoState)
	case !Follows(st.Generation, b.Generation):
		return orphan(ReasonGap)
	case b.Samples != len(st.Values):
		return orphan(ReasonCount)
	case len(b.Values) != len(b.Index) || len(b.Times) != len(b.Index):
		return unusable(ReasonLength)
	}
	return Outcome{}
}
