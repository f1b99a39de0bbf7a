package ingest

import (
	"errors"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// incoming is one blob of a request.
type incoming struct {
	generation int64
	full       bool
	// blob is nil if the wire's form could not be turned into one; err then says why.
	blob *scrape.Blob
	err  error
}

// action is what becomes of a blob.
type action int8

const (
	actionStore     action = iota // it goes into RAW
	actionDuplicate               // the log has it
	actionResend                  // the collector must send the full form
	actionRefuse                  // it can never be accepted and goes to DEAD
)

// verdict is an action and, if the full form is asked for, the reason.
type verdict struct {
	action action
	reason reason
}

// reason says why a full blob is asked for.
type reason string

const (
	reasonNoHead    reason = "no_head"    // nothing recent is known about the target
	reasonResync    reason = "resync"     // the assembler has marked the target
	reasonGap       reason = "gap"        // the generation doesn't follow the last one
	reasonCount     reason = "count"      // the number of samples is not the last one's
	reasonNonFinite reason = "non_finite" // a difference is NaN or infinite
	reasonStructure reason = "structure"  // positions don't ascend, are out of range, or a count is impossible
	reasonOrder     reason = "order"      // an earlier blob of the target has to be sent again, so this one must come after it
)

// reasons returns all reasons, for metrics that want their labels up front.
func reasons() []reason {
	return []reason{
		reasonNoHead, reasonResync, reasonGap, reasonCount, reasonNonFinite, reasonStructure, reasonOrder,
	}
}

// ofHead reports whether another head could have led to another verdict.
func (r reason) ofHead() bool {
	return r == reasonNoHead || r == reasonResync || r == reasonGap || r == reasonCount
}

// accepted is a blob to store, with the run that it ends.
type accepted struct {
	blob *scrape.Blob
	run  scrape.Run
}

// judgement is what becomes of the blobs that a request holds of one target.
type judgement struct {
	// verdicts has one entry for each blob.
	verdicts []verdict
	// store are the blobs with actionStore, in order.
	store []accepted
	// doubtful tells that a full blob is asked for because of the head: worth a second look if the head may be out of date.
	doubtful bool
}

// judge decides what becomes of a target's blobs, which must be in the order of the request. head is what the log says of the
// target, nil if it says nothing recent. mark is the target's resync mark, 0 for none: while the last full blob in the log
// has a sequence of at most mark, incremental blobs are worth nothing and every full one is wanted.
func judge(head *event.Head, mark uint64, blobs []incoming) judgement {
	j := judging{marked: mark > 0}
	if head != nil {
		j.known, j.run, j.samples = true, head.Run, head.Samples
		j.marked = head.FullSequence <= mark
	}
	out := judgement{verdicts: make([]verdict, len(blobs))}
	for i := range blobs {
		v := j.next(&blobs[i])
		out.verdicts[i] = v
		switch v.action {
		case actionStore:
			out.store = append(out.store, accepted{blobs[i].blob, j.run})
		case actionResend:
			out.doubtful = out.doubtful || v.reason.ofHead()
		}
	}
	return out
}

// judging goes from one blob to the next and keeps what is known of the target behind each.
type judging struct {
	known   bool // run and samples are those of the target's last blob
	run     scrape.Run
	samples int
	marked  bool
	resent  bool // a blob before has to be sent again
}

func (j *judging) next(b *incoming) verdict {
	var v verdict
	switch {
	case errors.Is(b.err, zstatsv1.ErrRefused):
		return verdict{action: actionRefuse}
	case j.resent:
		return resend(reasonOrder)
	case b.full:
		v = j.full(b)
	default:
		v = j.incremental(b)
	}
	switch v.action {
	case actionStore:
		j.advance(b)
	case actionResend:
		j.resent = true
	}
	return v
}

func (j *judging) full(b *incoming) verdict {
	if j.known && !j.marked && j.run.Contains(b.generation) {
		return verdict{action: actionDuplicate}
	}
	return verdict{action: actionStore}
}

// incremental asks for the generation before it looks at what the blob holds: a blob that the log has in either form is a
// duplicate, whatever this copy of it looks like.
func (j *judging) incremental(b *incoming) verdict {
	switch {
	case !j.known:
		return resend(reasonNoHead)
	case j.marked:
		return resend(reasonResync)
	case j.run.Contains(b.generation):
		return verdict{action: actionDuplicate}
	case !scrape.Follows(j.run.Last, b.generation):
		return resend(reasonGap)
	case errors.Is(b.err, zstatsv1.ErrNotFinite):
		return resend(reasonNonFinite)
	case b.err != nil:
		return resend(reasonStructure)
	case b.blob.Samples != j.samples:
		return resend(reasonCount)
	}
	return verdict{action: actionStore}
}

// advance makes b the target's last blob.
func (j *judging) advance(b *incoming) {
	if j.known && scrape.Follows(j.run.Last, b.generation) {
		j.run.Last = b.generation
	} else {
		j.run = scrape.Run{First: b.generation, Last: b.generation}
	}
	j.known, j.samples = true, b.blob.Samples
	if b.full {
		j.marked = false // its sequence will be beyond the mark
	}
}

func resend(r reason) verdict { return verdict{action: actionResend, reason: r} }
