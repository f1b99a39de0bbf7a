package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// chains finds the states of chains that begin before the span.
type chains struct {
	bus        *bus.Bus
	partitions int
	span       span
	// hint is about where in SCRAPES the states before the span end.
	hint uint64
	last uint64 // sequence of SCRAPES when the replay began
}

// newChains prepares the search. Without a beginning in the middle there is nothing to find.
func newChains(ctx context.Context, b *bus.Bus, partitions int, s span) (*chains, error) {
	c := &chains{bus: b, partitions: partitions, span: s}
	if !s.Cut {
		return c, nil
	}
	var err error
	if _, c.last, err = b.Bounds(ctx, event.Scrapes); err != nil {
		return nil, err
	}
	c.hint = c.last + 1
	place, err := b.Find(ctx, event.Raw, ">", s.First)
	if errors.Is(err, bus.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	c.hint, err = sequenceAt(ctx, b, event.Scrapes, place.Stored, c.last)
	return c, err
}

// before returns the state of a target before the span, where m is its first message in it, and whether that is the live run's.
// The state is nil if there is none.
func (c *chains) before(ctx context.Context, t scrape.Target, m *bus.Message) (st *scrape.State, exact bool, err error) {
	if !c.span.Cut {
		return nil, true, nil
	}
	st, err = c.fromScrapes(ctx, t)
	if st != nil || err != nil {
		return st, true, err
	}
	head, err := event.ReadHead(m.Header, m.Sequence)
	if err != nil || head.FullSequence >= m.Sequence { // the fold says what is wrong with it; or it stands for itself
		return nil, true, nil
	}
	st, err = c.fromBlobs(ctx, t, head.FullSequence, m)
	return st, false, err
}

// fromScrapes returns a target's last state in SCRAPES that comes from a message of RAW before the span, nil if there is none.
// The states of a target are in the order of the messages that they come from, so the last one can be searched for.
func (c *chains) fromScrapes(ctx context.Context, t scrape.Target) (*scrape.State, error) {
	subject := event.ScrapeSubject(t, c.partitions)
	var best *scrape.State
	// probe looks at the first state at or behind a place. It returns its place if it is one from before the span, else 0.
	probe := func(from uint64) (uint64, error) {
		m, err := c.bus.FindMessage(ctx, event.Scrapes, subject, from)
		if errors.Is(err, bus.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("state of %s: %w", t, err)
		}
		st, err := event.DecodeState(m.Data)
		if err != nil {
			return 0, fmt.Errorf("state of %s, message %d of %s: %w", t, m.Sequence, event.Scrapes, err)
		}
		if st.Sequence >= c.span.First {
			return 0, nil
		}
		best = st
		return m.Sequence, nil
	}
	low, high, err := c.bracket(probe)
	if err != nil || best == nil {
		return nil, err
	}
	for low+1 < high {
		middle := low + (high-low)/2
		found, err := probe(middle)
		if err != nil {
			return nil, err
		}
		if found == 0 {
			high = middle
		} else {
			low = found
		}
	}
	return best, nil
}

// bracket returns places around the last state before the span: there is one at low, and none from high on. It begins at the hint
// and goes away from it in steps that grow. If there is none at all, low is 0.
func (c *chains) bracket(probe func(from uint64) (uint64, error)) (low, high uint64, err error) {
	const step = 256
	found, err := probe(c.hint)
	if err != nil {
		return 0, 0, err
	}
	if found == 0 { // all lie before the hint
		high = c.hint
		for n := uint64(step); high > 1; n *= 4 {
			from := uint64(1)
			if high > n {
				from = high - n
			}
			if found, err = probe(from); found > 0 || err != nil {
				return found, high, err
			}
			high = from
		}
		return 0, high, nil
	}
	low = found // the assembler was behind when the span began
	for n := uint64(step); low+n <= c.last; n *= 4 {
		if found, err = probe(low + n); err != nil {
			return 0, 0, err
		}
		if found == 0 {
			return low, low + n, nil
		}
		low = found
	}
	return low, c.last + 1, nil
}

// fromBlobs folds a target's blobs in RAW from a full one up to the message m. It returns nil if the full one is gone.
func (c *chains) fromBlobs(ctx context.Context, t scrape.Target, full uint64, m *bus.Message) (*scrape.State, error) {
	var st *scrape.State
	end := errors.New("end")
	o := bus.ReadOptions{Stream: event.Raw, Subjects: []string{event.RawSubject(t, c.partitions)}, From: full}
	err := c.bus.Scan(ctx, o, func(before bus.Message) error {
		if before.Sequence >= m.Sequence || st == nil && before.Sequence != full {
			return end
		}
		decoded, err := fold.Decode(before.Header, before.Sequence, before.Data)
		if err != nil {
			return nil // the live run went on behind it
		}
		if st == nil {
			st = earlier(before.Header, decoded.Blobs)
		}
		if r, err := fold.Apply(st, decoded, false, nil); err == nil {
			st = r.State
		}
		return nil
	})
	if err != nil && !errors.Is(err, end) {
		return nil, fmt.Errorf("blobs of %s: %w", t, err)
	}
	if st == nil || st.Schema.IsZero() {
		return nil, nil
	}
	return st, nil
}

// earlier returns a state that knows nothing but the generations before some blobs in the run that they end.
func earlier(h event.Header, blobs []*scrape.Blob) *scrape.State {
	st := new(scrape.State)
	head, err := event.ReadHead(h, 0)
	if err == nil && len(blobs) > 0 && head.Run.First < blobs[0].Generation && blobs[0].Generation <= head.Run.Last {
		st.Runs = []scrape.Run{{First: head.Run.First, Last: blobs[0].Generation - 1}}
	}
	return st
}

// startsFull reports whether a message's first blob stands for itself.
func startsFull(m fold.Message) bool { return len(m.Blobs) > 0 && m.Blobs[0].Full() }
