package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// blobs folds the blobs of a letter of the assembler. What becomes of one does not depend on the others, except as predecessors.
func (q *requeue) blobs(ctx context.Context, d *draft) error {
	for k, blob := range d.content.Blobs {
		subject := q.subject(d.Letter, k)
		switch {
		case q.history.results[subject] != nil:
			d.Earlier++
		case q.history.has(blob):
			d.Accepted++
		default:
			if err := q.blob(ctx, d, subject, blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// blob folds a blob of which nothing was published yet.
func (q *requeue) blob(ctx context.Context, d *draft, subject string, blob *scrape.Blob) error {
	next, out, err := q.apply(ctx, d, blob)
	if err != nil {
		return err
	}
	switch out.Verdict {
	case scrape.Accepted:
	case scrape.Duplicate:
		d.Accepted++
		return nil
	case scrape.Orphan:
		if out.Reason == scrape.ReasonNoState {
			d.fault("generation %d: the one before it is neither in %s nor in a letter folded before", blob.Generation, event.Scrapes)
		} else {
			d.fault("generation %d does not fit the one before it (%s)", blob.Generation, out.Reason)
		}
		return nil
	default:
		d.fault("generation %d can't be folded (%s)", blob.Generation, out.Reason)
		return nil
	}
	if ok, err := q.schema(ctx, d, next, blob); err != nil || !ok {
		return err
	}
	return q.add(d, subject, next)
}

// reasonPanic is the reason of a blob that makes the fold panic, in this version too.
const reasonPanic = "panic"

// apply folds a blob on the scrape from which it follows. A full blob needs none, but if nothing comes right before it the scrape
// before it in RAW tells which run it belongs to.
func (q *requeue) apply(ctx context.Context, d *draft, blob *scrape.Blob) (next *scrape.State, out scrape.Outcome, err error) {
	behind := q.history.before(d.RawSequence)
	from := q.history.predecessor(blob, d.RawSequence)
	if from == nil && blob.Full() {
		from = behind
	}
	before, err := q.history.state(ctx, from)
	if err != nil {
		return nil, out, err
	}
	err = guard(func() error {
		next, out = before.Apply(blob, scrape.Arrival{Received: d.Received, Sequence: d.RawSequence})
		return nil
	})
	if err != nil {
		return nil, scrape.Outcome{Verdict: scrape.Unusable, Reason: reasonPanic + ": " + firstLine(err.Error())}, nil
	}
	if out.Verdict != scrape.Accepted {
		return nil, out, nil
	}
	if from != nil {
		from.state = nil // the next blob follows from this one
	}
	if behind != nil {
		next.Epoch = max(next.Epoch, behind.epoch+1)
	}
	next.Epoch = q.history.free(next.Epoch)
	return next, out, nil
}

// schema sees to it that the schema of a state is published before the state. If it is kept nowhere that is a fault.
func (q *requeue) schema(ctx context.Context, d *draft, st *scrape.State, blob *scrape.Blob) (bool, error) {
	if q.schemas[st.Schema] {
		return true, nil
	}
	data, found, err := q.findSchema(ctx, st, blob)
	if err != nil {
		return false, err
	}
	if !found {
		d.fault("generation %d: its schema %s is kept nowhere any more", st.Generation, st.Schema)
		return false, nil
	}
	q.schemas[st.Schema] = true
	if data != nil {
		d.schemas = append(d.schemas, bus.Message{Subject: event.SchemaSubject(q.target.Account, st.Schema), Data: data})
	}
	return true, nil
}

// findSchema returns a schema's payload, nil if it is published already.
func (q *requeue) findSchema(ctx context.Context, st *scrape.State, blob *scrape.Blob) (data []byte, found bool, err error) {
	if blob != nil && blob.Full() {
		data, err = event.EncodeSchema(blob.Schema)
		return data, true, err
	}
	m, err := q.log.Last(ctx, event.Schemas, event.SchemaSubject(q.target.Account, st.Schema))
	if err == nil {
		if schema, err := event.DecodeSchema(m.Data); err == nil && schema.Hash() == st.Schema {
			return nil, true, nil
		}
	}
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, false, fmt.Errorf("schema %s: %w", st.Schema, err)
	}
	if st.FullSequence == 0 { // no message has it
		return nil, false, nil
	}
	m, err = q.log.Get(ctx, event.Raw, st.FullSequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("full blob with schema %s: %w", st.Schema, err)
	}
	blobs, err := event.DecodeBlobs(m.Data)
	if err != nil {
		return nil, false, nil
	}
	for _, b := range blobs {
		if b.Full() && b.Schema.Hash() == st.Schema {
			data, err = event.EncodeSchema(b.Schema)
			return data, true, err
		}
	}
	return nil, false, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
