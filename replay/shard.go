package replay

import (
	"context"
	"errors"
	"slices"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
)

// shard works on some of the chains. It is for one goroutine at a time.
type shard struct {
	replay *Replay
	states *states
	// What the group at hand gives.
	jobs   []int // places of its messages in the group
	made   []*one
	report Report
}

// work handles the shard's messages of a group, in order.
func (s *shard) work(ctx context.Context, r *render.Renderer, group []bus.Message) error {
	for _, i := range s.jobs {
		handle := s.scrape
		if s.replay.o.Source == FromRaw {
			handle = s.raw
		}
		if err := handle(ctx, r, i, &group[i]); err != nil {
			return err
		}
	}
	return nil
}

// scrape handles a message of SCRAPES.
func (s *shard) scrape(ctx context.Context, r *render.Renderer, i int, m *bus.Message) error {
	if target, err := m.Header.Target(); err == nil && !s.replay.selection.hasTarget(target) {
		return nil
	}
	s.report.Messages++
	target, st, err := render.Decode(m.Header, m.Data)
	if err != nil {
		return s.refuse(err)
	}
	_, _, late := event.Requeued(m.Subject)
	return s.take(ctx, r, &one{message: i, target: target, state: st, late: late})
}

// raw handles a message of RAW.
func (s *shard) raw(ctx context.Context, r *render.Renderer, i int, m *bus.Message) error {
	target, err := fold.Owner(m.Header, m.Subject, s.replay.partitions)
	if target.Name != "" && !s.replay.selection.hasTarget(target) {
		return nil
	}
	s.report.Messages++
	if err != nil {
		return s.refuse(err)
	}
	decoded, err := fold.Decode(m.Header, m.Sequence, m.Data)
	if err != nil {
		return s.refuse(err)
	}
	k, err := s.state(ctx, target, m, decoded)
	if err != nil {
		return err
	}
	folded, err := fold.Apply(k.state, decoded, false, nil)
	if err != nil {
		return s.refuse(err)
	}
	s.count(folded)
	for part, a := range folded.Accepted {
		if a.Schema != nil {
			s.replay.schemas.Add(target.Account, a.State.Schema, a.Schema)
		}
		if err := s.take(ctx, r, &one{message: i, part: part, target: target, state: a.State, partial: k.partial}); err != nil {
			return err
		}
	}
	return s.states.put(target, folded.State, k.partial)
}

// state returns what is known of a target before a message.
func (s *shard) state(ctx context.Context, t scrape.Target, m *bus.Message, decoded fold.Message) (*kept, error) {
	k, err := s.states.get(t)
	if k != nil || err != nil {
		return k, err
	}
	st, exact, err := s.replay.chains.before(ctx, t, m)
	if err != nil {
		return nil, err
	}
	switch {
	case st != nil || !s.replay.span.Cut:
	case startsFull(decoded):
		st = earlier(m.Header, decoded.Blobs)
	default:
		exact = false
		s.report.GoneTargets++
		if len(s.report.Gone) < MaxGone {
			s.report.Gone = append(s.report.Gone, t)
		}
	}
	return &kept{target: t, state: st, partial: !exact}, nil
}

// take hands a scrape of the selection to the sink.
func (s *shard) take(ctx context.Context, r *render.Renderer, scrape *one) error {
	if !s.replay.selection.hasEpoch(scrape.state.Epoch) {
		return nil
	}
	s.report.Scrapes++
	s.replay.scrapes.Add(1)
	err := s.replay.sink.take(ctx, r, scrape)
	if err != nil {
		return s.refuse(err)
	}
	scrape.state = nil // a group holds many
	s.made = append(s.made, scrape)
	return nil
}

// refuse counts what the live run sends to DEAD. Another error is returned.
func (s *shard) refuse(err error) error {
	var poison *fold.Poison
	var refusal *render.Refusal
	switch {
	case errors.As(err, &poison):
		s.report.refuse(poison.Reason, 1)
	case errors.As(err, &refusal):
		s.report.refuse(string(refusal.Reason), 1)
	default:
		return err
	}
	return nil
}

func (s *shard) count(f *fold.Result) {
	for _, o := range f.Outcomes {
		if o.Verdict == scrape.Duplicate {
			s.report.Duplicates++
		}
	}
	for _, r := range f.Refused {
		s.report.refuse(r.Reason, 1)
	}
}

// reset forgets the group at hand.
func (s *shard) reset() { s.jobs, s.made, s.report = s.jobs[:0], nil, Report{} }

// inOrder returns what all shards have made of a group, in the order of the log.
func inOrder(shards []*shard) []*one {
	var all []*one
	for _, s := range shards {
		all = append(all, s.made...)
	}
	slices.SortFunc(all, func(a, b *one) int {
		if a.message != b.message {
			return a.message - b.message
		}
		return a.part - b.part
	})
	return all
}
