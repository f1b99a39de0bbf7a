package checker

import (
	"sync"

	"github.com/zstats/zstats/pkg/scrape"
)

// Describe returns a scrape as it is sent, as a target gave it.
func Describe(t scrape.Target, schema *scrape.Schema, s *scrape.Scrape) Sent {
	c := contentOf(schema, s)
	return Sent{Target: t, Generation: s.Generation, Time: s.Time, Digest: c.digest, Shape: c.shape, Values: c.values}
}

// Book notes in memory what is sent and how it is answered. It is safe for concurrent use.
type Book struct {
	mu    sync.Mutex // guards what follows
	place int        // of the last note
	blobs map[id]*entry
}

// entry is what the book knows of a blob.
type entry struct {
	Sent
	attempts, refusals int
}

// NewBook returns an empty book.
func NewBook() *Book { return &Book{blobs: make(map[id]*entry)} }

// Sent notes that blobs are about to be sent, for the first time or again, in this order.
func (b *Book) Sent(all ...Sent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range all {
		b.place++
		i := id{s.Target, s.Generation}
		e := b.blobs[i]
		if e == nil {
			s.First, s.Acked, s.Answer = b.place, 0, Unknown
			e = &entry{Sent: s}
			b.blobs[i] = e
		}
		e.attempts++
	}
}

// Answered notes the wire's code for a blob that was sent. Whoever gets no answer notes nothing.
func (b *Book) Answered(t scrape.Target, generation int64, code int8) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.place++
	e := b.blobs[id{t, generation}]
	switch {
	case e == nil: // an answer to nothing that is known
	case code != 0:
		e.refusals++
	case e.Acked == 0:
		e.Acked = b.place
	}
}

// All returns the blobs that were sent, each with the best of its answers.
func (b *Book) All() []Sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Sent, 0, len(b.blobs))
	for _, e := range b.blobs {
		s := e.Sent
		switch {
		case e.Acked > 0:
			s.Answer = Acknowledged
		case e.refusals == e.attempts:
			s.Answer = Refused
		}
		all = append(all, s)
	}
	return all
}
