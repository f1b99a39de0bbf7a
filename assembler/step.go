package assembler

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// step is the work on one batch. Until the batch is done, its targets' states are kept here and nowhere else: those in the log
// are older, and the cache may have no room for all of them.
type step struct {
	a       *Assembler
	jobs    []job              // one for each delivery
	targets map[string]*target // by their subject in RAW
	order   []*target          // in the order of their first deliveries
	outputs []bus.Output
	bytes   int64 // of the states that the outputs come from, and of the outputs
	schemas publications
	letters []letter
	tally   tally
}

// job is one delivery and the target that it speaks of.
type job struct {
	delivery *bus.Delivery
	target   *target // nil if the delivery names none
	fault    error   // Poison: why the delivery can't be folded, whatever is in it
}

const (
	// window is how many deliveries' states are read ahead.
	window = 64
	// parallel is how many requests to the log may be open at once.
	parallel = 16
)

func newStep(a *Assembler, batch []bus.Delivery) *step {
	s := &step{
		a:       a,
		jobs:    make([]job, len(batch)),
		targets: make(map[string]*target, len(batch)),
		outputs: make([]bus.Output, 0, len(batch)),
		schemas: newPublications(),
		tally:   newTally(),
	}
	for i := range batch {
		s.jobs[i].delivery = &batch[i]
	}
	return s
}

// foldAll folds deliveries until their outputs take as much memory as they may, at least one. It returns how many.
func (s *step) foldAll(ctx context.Context) (done int, err error) {
	for done < len(s.jobs) && (done == 0 || s.bytes < s.a.o.BatchBytes) {
		if done%window == 0 {
			if err := s.load(ctx, s.jobs[done:min(done+window, len(s.jobs))]); err != nil {
				return 0, err
			}
		}
		if err := s.fold(ctx, done); err != nil {
			return 0, err
		}
		done++
	}
	return done, nil
}

// load finds out whose some deliveries are and reads the states that are not in memory, several at a time.
func (s *step) load(ctx context.Context, jobs []job) error {
	var missing []*target
	for i := range jobs {
		if s.assign(&jobs[i]) {
			missing = append(missing, jobs[i].target)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, t := range missing {
		group.Go(func() (err error) {
			t.state, err = s.a.read(ctx, t)
			return err
		})
	}
	return group.Wait()
}

// assign sets a job's target and reports whether its state is missing.
func (s *step) assign(j *job) (missing bool) {
	t := s.targets[j.delivery.Subject]
	if name, err := j.delivery.Header.Target(); t != nil && err == nil && name == t.Target {
		j.target = t
		return false
	}
	t, kept, err := s.a.owner(j.delivery)
	j.target, j.fault = t, err
	if err != nil {
		return false
	}
	t.remembered = kept
	s.targets[t.subject] = t
	s.order = append(s.order, t)
	if kept {
		s.tally.hits++
	} else {
		s.tally.misses++
	}
	return !kept
}

// read returns a target's state as the log's leader knows it, nil if there is none. One that can't be decoded counts as none,
// so that its target goes on with its next full blob.
func (a *Assembler) read(ctx context.Context, t *target) (*scrape.State, error) {
	m, err := a.log.Last(ctx, event.Scrapes, t.output)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", t, err)
	}
	var st *scrape.State
	err = fold.Guard(func() (err error) {
		st, err = event.DecodeState(m.Data)
		return err
	})
	if err != nil {
		a.metrics.statesDamaged.Inc()
		a.logger.Error("state in the log can't be decoded, the target needs a full blob",
			zap.Stringer("target", t), zap.Uint64("sequence", m.Sequence), zap.Error(err))
		return nil, nil
	}
	return st, nil
}

// fold handles one delivery. An error means that the log could not be asked; what is wrong with the delivery itself goes to
// the dead letters.
func (s *step) fold(ctx context.Context, i int) error {
	s.tally.bytesIn += len(s.jobs[i].delivery.Data)
	err := s.rebuild(ctx, i)
	var p *fold.Poison
	if errors.As(err, &p) {
		return s.buryWhole(&s.jobs[i], p)
	}
	return err
}

// rebuild folds one delivery into its target's state. After an error, poison or not, the target is as it was before.
func (s *step) rebuild(ctx context.Context, i int) error {
	j := &s.jobs[i]
	if j.fault != nil {
		return j.fault
	}
	if err := j.delivery.Broken; err != nil {
		return &fold.Poison{Reason: fold.ReasonIncomplete, Err: err}
	}
	m, err := fold.Decode(j.delivery.Header, j.delivery.Sequence, j.delivery.Data)
	if err != nil {
		return err
	}
	f, err := s.foldChecked(ctx, j.target, m)
	if err != nil {
		return err
	}
	if err := s.announce(ctx, j.target, f); err != nil {
		return err
	}
	outputs, err := j.target.outputs(i, f.Accepted)
	if err != nil {
		return &fold.Poison{Reason: fold.ReasonUndecodable, Err: err}
	}
	for k, o := range outputs {
		s.bytes += int64(f.Accepted[k].State.Size() + cap(o.Data))
	}
	s.outputs = append(s.outputs, outputs...)
	return s.conclude(j, f)
}

// foldChecked folds a message. Before blobs are refused because of a state from an earlier batch, it is compared with the log.
func (s *step) foldChecked(ctx context.Context, t *target, m fold.Message) (*fold.Result, error) {
	f, err := s.a.fold(t, m)
	if err != nil || len(f.Refused) == 0 || !t.remembered {
		return f, err
	}
	st, err := s.a.read(ctx, t)
	if err != nil {
		return nil, err
	}
	t.remembered = false
	if st == nil || sameState(st, t.state) { // it is nil if SCRAPES was trimmed in the meantime
		return f, nil
	}
	s.a.metrics.statesStale.Inc()
	s.a.logger.Error("state in memory is not the one in the log, going on with the log's", zap.Stringer("target", t))
	t.state = st
	return s.a.fold(t, m)
}

func (a *Assembler) fold(t *target, m fold.Message) (*fold.Result, error) {
	return fold.Apply(t.state, m, a.o.Strict(t.Account), func(b *scrape.Blob) { a.o.hook(t.Target, b) })
}

// sameState tells a target's states apart: each accepted blob has its own epoch.
func sameState(a, b *scrape.State) bool {
	return b != nil && a.Epoch == b.Epoch && a.Generation == b.Generation
}

// conclude makes what a message was folded to the target's, and asks for what must follow.
func (s *step) conclude(j *job, f *fold.Result) error {
	t := j.target
	if len(f.Accepted) > 0 {
		t.state = f.State
		t.remembered = false
	}
	reason := f.Resync
	if f.Full {
		t.settle()
	} else if reason == "" {
		reason = t.mark.reason // a full blob that is a duplicate repairs nothing
	}
	if reason != "" {
		t.request(j.delivery, reason)
	}
	s.tally.add(f)
	for _, g := range f.Conflicts {
		s.a.conflictLog.Do(func() {
			s.a.logger.Warn("two collectors seem to use the name of one target: a run goes on that another one has interrupted",
				zap.Stringer("target", t), zap.Int64("generation", g))
		})
	}
	if len(f.Refused) > 0 {
		return s.buryRefused(j, f.Refused)
	}
	return nil
}

// outputs returns the messages for SCRAPES of the states that delivery i has led to.
func (t *target) outputs(i int, accepted []fold.Accepted) ([]bus.Output, error) {
	outputs := make([]bus.Output, len(accepted))
	for k, a := range accepted {
		data, err := event.EncodeState(a.State)
		if err != nil {
			return nil, fmt.Errorf("encode state: %w", err)
		}
		outputs[k] = bus.Output{Input: i, Message: bus.Message{Subject: t.output, Header: t.header, Data: data}}
	}
	return outputs, nil
}

// publish makes what goes beside the scrapes durable: schemas, dead letters, marks.
func (s *step) publish(ctx context.Context) error {
	if err := s.publishSchemas(ctx); err != nil {
		return err
	}
	if err := s.publishLetters(ctx); err != nil {
		return err
	}
	return s.publishMarks(ctx)
}
