package assembler

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// step is the work on one batch. Nothing of it counts before the batch is committed.
type step struct {
	a       *Assembler
	states  map[scrape.Target]*scrape.State // after the deliveries so far
	outputs []bus.Output
	schemas map[string]bus.Message // by subject
	dead    []bus.Message
	marks   map[scrape.Target]mark
}

// message is one delivery, decoded.
type message struct {
	target  scrape.Target
	arrival scrape.Arrival
	blobs   []*scrape.Blob
}

// fold applies the blobs of a delivery. An error means that the log could not be asked; what is wrong with the delivery itself
// goes to the dead letters.
func (s *step) fold(ctx context.Context, input int, d bus.Delivery) error {
	m, err := decode(d)
	if err != nil {
		return s.buryUndecoded(ctx, d, m, err)
	}
	st, err := s.state(ctx, m.target)
	if err != nil {
		return err
	}
	r := s.apply(m, st)
	if r.panicked != "" {
		return s.buryUndecoded(ctx, d, m, fmt.Errorf("the fold panicked: %s", r.panicked))
	}
	if err := s.announce(ctx, m, &r); err != nil {
		return err
	}
	for _, rebuilt := range r.states {
		if err := s.emit(input, m.target, rebuilt); err != nil {
			return err
		}
	}
	s.states[m.target] = r.last
	s.markAfter(m, r)
	return s.buryRefused(ctx, m, r)
}

// decode reads a delivery. On an error the message holds what could be read.
func decode(d bus.Delivery) (m message, err error) {
	if m.target, err = d.Header.Target(); err != nil {
		return m, err
	}
	m.arrival.Sequence = d.Sequence
	if m.arrival.Received, err = strconv.ParseInt(d.Header[event.HeaderReceived], 10, 64); err != nil {
		return m, fmt.Errorf("header %s: %w", event.HeaderReceived, err)
	}
	m.blobs, err = event.DecodeBlobs(d.Data)
	return m, err
}

// result is what the fold made of one message.
type result struct {
	states   []*scrape.State // the accepted blobs' states, in order
	schemas  []*scrape.Schema
	last     *scrape.State // after the message
	refused  []refusal
	resync   string // why the target must send a full blob, or ""
	full     bool   // the last full blob came after whatever asked for a resync
	panicked string
}

// refusal is a blob that can't be folded.
type refusal struct {
	blob    *scrape.Blob
	outcome scrape.Outcome
}

// apply folds the blobs of a message into a state. It is pure but for metrics and the log.
func (s *step) apply(m message, st *scrape.State) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	r.last = st
	for _, b := range m.blobs {
		next, o := r.last.Apply(b, m.arrival)
		s.a.metrics.outcome(b.Full(), o)
		s.noteConflict(m.target, r.last, b, o)
		switch o.Verdict {
		case scrape.Accepted:
			r.accept(next, b, o, s.a.o.Strict(m.target.Account))
		case scrape.Orphan, scrape.Unusable:
			r.refused = append(r.refused, refusal{b, o})
			r.resync, r.full = o.Reason, false
		}
	}
	return r
}

func (r *result) accept(next *scrape.State, b *scrape.Blob, o scrape.Outcome, strict bool) {
	r.last = next
	r.states = append(r.states, next)
	r.schemas = append(r.schemas, b.Schema)
	switch {
	case b.Full():
		r.resync, r.full = "", true
	case o.Resync:
		r.resync, r.full = reasonUnfit, false
	case strict && o.Inferred > 0:
		r.resync, r.full = reasonStrict, false
	}
}

// noteConflict makes it visible that two collectors use one target's name: one of them goes on with a run that the other
// has interrupted.
func (s *step) noteConflict(t scrape.Target, st *scrape.State, b *scrape.Blob, o scrape.Outcome) {
	if o.Verdict == scrape.Duplicate || len(st.Runs) < 2 {
		return
	}
	for _, r := range st.Runs[:len(st.Runs)-1] {
		if scrape.Follows(r.Last, b.Generation) {
			s.a.metrics.conflicts.Inc()
			s.a.log.Warn("two collectors seem to use the name of one target: a run goes on that another has interrupted",
				zap.Stringer("target", t), zap.Int64("generation", b.Generation))
			return
		}
	}
}

// emit adds a rebuilt scrape to what is committed.
func (s *step) emit(input int, t scrape.Target, st *scrape.State) error {
	data, err := event.EncodeState(st)
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	s.a.metrics.scrapes.Inc()
	s.a.metrics.samples.Add(float64(len(st.Values)))
	s.a.metrics.inferred.Add(float64(len(st.Inferred)))
	s.a.metrics.bytesOut.Add(float64(len(data)))
	s.outputs = append(s.outputs, bus.Output{Input: input, Message: bus.Message{
		Subject: event.ScrapeSubject(t, s.a.o.Partitions),
		Header:  event.TargetHeader(t),
		Data:    data,
	}})
	return nil
}
