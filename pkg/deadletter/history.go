package deadletter

import (
	"context"
	"errors"
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// history is which scrapes of a target were rebuilt: what SCRAPES keeps of them, and those of letters requeued since.
type history struct {
	log         Log
	entries     []*entry
	generations map[int64][]*entry
	epochs      map[int64]bool
	results     map[string]*entry // those of requeued letters, by subject
	// runs are those that the live state knows.
	runs []scrape.Run
}

// entry is one rebuilt scrape.
type entry struct {
	generation, time, epoch int64
	raw                     uint64 // sequence in RAW of the message with its blob
	subject                 string
	sequence                uint64 // in SCRAPES, 0 if the entry is newer than the history
	// state is kept as long as it is likely to be the next one's predecessor, otherwise it is read again.
	state *scrape.State
}

// readHistory reads all that SCRAPES keeps of a target.
func (b *Box) readHistory(ctx context.Context, t scrape.Target) (*history, error) {
	h := &history{log: b.log, generations: make(map[int64][]*entry), epochs: make(map[int64]bool), results: make(map[string]*entry)}
	live := event.ScrapeSubject(t, b.partitions)
	o := bus.ReadOptions{Stream: event.Scrapes, Subjects: []string{live, event.RequeuedScrapes(t, b.partitions)}}
	err := b.log.Scan(ctx, o, func(m bus.Message) error {
		st, err := decodeState(m.Data)
		if err != nil {
			return nil // the assembler doesn't take a damaged state for one either
		}
		e := newEntry(st, m.Subject)
		e.sequence, e.state = m.Sequence, nil
		h.add(e)
		if m.Subject == live {
			h.runs = st.Runs
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scrapes of %s: %w", t, err)
	}
	return h, nil
}

func newEntry(st *scrape.State, subject string) *entry {
	return &entry{generation: st.Generation, time: st.Time, epoch: st.Epoch, raw: st.Sequence, subject: subject, state: st}
}

func decodeState(data []byte) (st *scrape.State, err error) {
	err = guard(func() (err error) {
		st, err = event.DecodeState(data)
		return err
	})
	return st, err
}

func (h *history) add(e *entry) {
	h.entries = append(h.entries, e)
	h.generations[e.generation] = append(h.generations[e.generation], e)
	h.epochs[e.epoch] = true
	if _, _, ok := event.Requeued(e.subject); ok {
		h.results[e.subject] = e
	}
}

// has reports whether the scrape of a blob was rebuilt already. Of scrapes that SCRAPES does not keep any more, the runs of the
// live state tell.
func (h *history) has(b *scrape.Blob) bool {
	for _, e := range h.generations[b.Generation] {
		if e.time == b.Time {
			return true
		}
	}
	if len(h.generations[b.Generation]) > 0 {
		return false
	}
	for _, r := range h.runs {
		if r.Contains(b.Generation) {
			return true
		}
	}
	return false
}

// before returns the last scrape in the order of RAW from a message in front of the given one, nil if there is none.
func (h *history) before(raw uint64) *entry {
	var last *entry
	for _, e := range h.entries {
		if e.raw < raw && (last == nil || e.raw > last.raw || e.raw == last.raw && e.epoch > last.epoch) {
			last = e
		}
	}
	return last
}

// predecessor returns the scrape from which a blob of message raw follows by its generation, nil if there is none. Should there be
// several, it is the last one in RAW that is not behind the blob, else the first one behind.
func (h *history) predecessor(b *scrape.Blob, raw uint64) *entry {
	var best *entry
	for _, e := range h.generations[b.Generation-1] {
		switch {
		case !scrape.Follows(e.generation, b.Generation):
		case best == nil,
			e.raw <= raw && (best.raw > raw || e.raw >= best.raw),
			e.raw > raw && best.raw > raw && e.raw < best.raw:
			best = e
		}
	}
	return best
}

// state returns an entry's state, nil if it is kept nowhere any more.
func (h *history) state(ctx context.Context, e *entry) (*scrape.State, error) {
	if e == nil || e.state != nil {
		return e.kept(), nil
	}
	var m bus.Message
	var err error
	if e.sequence > 0 {
		m, err = h.log.Get(ctx, event.Scrapes, e.sequence)
	} else {
		m, err = h.log.Last(ctx, event.Scrapes, e.subject)
	}
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scrape of generation %d: %w", e.generation, err)
	}
	return decodeState(m.Data)
}

func (e *entry) kept() *scrape.State {
	if e == nil {
		return nil
	}
	return e.state
}

// free returns the first epoch from the given one on that no scrape of the target has.
func (h *history) free(epoch int64) int64 {
	for h.epochs[epoch] {
		epoch++
	}
	return epoch
}
