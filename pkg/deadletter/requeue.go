package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Result is what became of a letter.
type Result struct {
	*Letter
	// Scrapes is how many of its scrapes are published now, Earlier how many were by a requeue before that did not come to its end,
	// Accepted how many the live fold has accepted in the meantime.
	Scrapes, Earlier, Accepted int
	// Faults say what still can't be folded, and why. With any of them the letter stays in DEAD.
	Faults []string
}

// Outcome is what a Result comes to.
type Outcome string

// The outcomes of a requeue. Only a letter that is left is still in DEAD.
const (
	Requeued       Outcome = "requeued"
	AlreadyWritten Outcome = "already written"
	Left           Outcome = "left"
)

// Outcome returns what became of the letter.
func (r *Result) Outcome() Outcome {
	switch {
	case len(r.Faults) > 0:
		return Left
	case r.Scrapes+r.Earlier > 0:
		return Requeued
	default:
		return AlreadyWritten
	}
}

// Requeue folds letters again, those of each target in the order of RAW, and calls report with what became of each. In a dry run
// nothing is published or removed. An error is one of the log, or of report; it ends the requeue, which may be repeated.
func (b *Box) Requeue(ctx context.Context, letters []*Letter, dry bool, report func(*Result) error) error {
	for _, own := range byTarget(letters) {
		q := &requeue{Box: b, dry: dry, target: own[0].Target, schemas: make(map[scrape.Hash]bool)}
		var err error
		if q.history, err = b.readHistory(ctx, q.target); err != nil {
			return err
		}
		for _, l := range own {
			r, err := q.letter(ctx, l)
			if err != nil {
				return fmt.Errorf("requeue dead letter %d: %w", l.Sequence, err)
			}
			if err := report(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// byTarget returns the letters of each target in the order in which their messages came.
func byTarget(letters []*Letter) [][]*Letter {
	var all [][]*Letter
	number := make(map[scrape.Target]int)
	for _, l := range letters {
		i, ok := number[l.Target]
		if !ok {
			i = len(all)
			number[l.Target] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], l)
	}
	for _, own := range all {
		slices.SortStableFunc(own, func(a, b *Letter) int {
			switch {
			case a.RawSequence != b.RawSequence && a.RawSequence < b.RawSequence:
				return -1
			case a.RawSequence != b.RawSequence:
				return 1
			}
			return 0
		})
	}
	return all
}

// requeue is the work on the letters of one target.
type requeue struct {
	*Box
	dry     bool
	target  scrape.Target
	history *history
	schemas map[scrape.Hash]bool // that are known to be published
}

// draft is what a letter is about to become.
type draft struct {
	*Result
	content  *Content
	schemas  []bus.Message
	messages []bus.Message
}

func (d *draft) fault(format string, args ...any) {
	d.Faults = append(d.Faults, fmt.Sprintf(format, args...))
}

// letter folds one letter, publishes what comes out and removes it.
func (q *requeue) letter(ctx context.Context, l *Letter) (*Result, error) {
	d := &draft{Result: &Result{Letter: l}}
	switch {
	case l.fault != nil:
		d.fault("%v", l.fault)
		return d.Result, nil
	case l.Stage == StageIngest:
		d.fault("ingest has refused it for ever: it never was in %s, nothing can follow from it", event.Raw)
		return d.Result, nil
	}
	var err error
	if d.content, err = q.Open(ctx, l); errors.Is(err, bus.ErrNotFound) {
		d.fault("it is not in %s any more", event.Dead)
		return d.Result, nil
	} else if err != nil {
		return nil, err
	}
	if d.content.Fault != nil {
		d.fault("it can't be decoded: %s", firstLine(d.content.Fault.Error()))
		return d.Result, nil
	}
	switch {
	case d.content.State != nil:
		err = q.scrape(ctx, d)
	case len(d.content.Blobs) == 0:
		d.fault("it holds no blob")
	default:
		err = q.blobs(ctx, d)
	}
	if err != nil || q.dry {
		return d.Result, err
	}
	return d.Result, q.finish(ctx, d)
}

// finish makes a draft durable, then removes its letter. A crash in between is mended by a repetition.
func (q *requeue) finish(ctx context.Context, d *draft) error {
	if err := q.log.AppendAll(ctx, event.Schemas, d.schemas); err != nil {
		return err
	}
	if err := q.publish(ctx, d.messages); err != nil {
		return err
	}
	if d.Outcome() == Left {
		return nil
	}
	for _, s := range d.all() {
		if err := q.log.Remove(ctx, event.Dead, s); err != nil {
			return err
		}
	}
	return nil
}

// publish stores messages on subjects that have none. Should there be some, then somebody else requeues the same letter right now.
func (q *requeue) publish(ctx context.Context, messages []bus.Message) error {
	err := q.log.AppendNew(ctx, event.Scrapes, messages)
	if errors.Is(err, bus.ErrFenced) {
		return fmt.Errorf("it is requeued by somebody else at the same time, run this again: %w", err)
	}
	return err
}

// add puts a result into the draft and the history.
func (q *requeue) add(d *draft, subject string, st *scrape.State) error {
	data, err := event.EncodeState(st)
	if err != nil {
		return err
	}
	d.messages = append(d.messages, bus.Message{Subject: subject, Header: event.TargetHeader(q.target), Data: data})
	d.Scrapes++
	q.history.add(newEntry(st, subject))
	return nil
}

// subject is where the result of a letter's blob k belongs.
func (q *requeue) subject(l *Letter, k int) string {
	return event.RequeuedSubject(q.target, q.partitions, l.name(), k)
}

// scrape requeues a letter of the writer: the scrape is rebuilt already.
func (q *requeue) scrape(ctx context.Context, d *draft) error {
	subject := q.subject(d.Letter, 0)
	if q.history.results[subject] != nil {
		d.Earlier++
		return nil
	}
	if ok, err := q.schema(ctx, d, d.content.State, nil); err != nil || !ok {
		return err
	}
	return q.add(d, subject, d.content.State)
}
