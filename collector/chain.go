package collector

import (
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/scrape"
)

// chain makes the blobs of one target's scrapes. It is pure apart from its own state, and not for concurrent use.
type chain struct {
	// proven asks for full blobs where the server would have to infer.
	proven bool
	// schema and state are what the server holds after the last scrape that was committed; nil before the first.
	schema *sizedSchema
	state  *scrape.State
}

// next makes the blob of a scrape, which the chain takes over together with its schema. The blob counts as sent once it
// is handed to commit; if it never is, the following call continues from the same predecessor.
//
// Generations start at the clock's nanoseconds and count up by one. A new schema begins at the clock anew, but never
// below the last generation, so that no generation is used twice while the collector runs.
func (c *chain) next(schema *scrape.Schema, s *scrape.Scrape, now time.Time) (link, error) {
	why := reasonFirst
	s.Generation = now.UnixNano()
	if c.state != nil {
		following := c.state.Generation + 1
		if c.state.Schema == s.Schema {
			s.Generation = following
			delta, state, obstacle := c.difference(s)
			if obstacle == reasonNone {
				return link{schema: c.schema, delta: delta, state: state}, nil
			}
			why = obstacle
		} else {
			s.Generation = max(s.Generation, following)
			why = reasonSchema
		}
	}
	state, out := c.state.Apply(fullBlob(schema, s), scrape.Arrival{})
	if out.Verdict != scrape.Accepted {
		return link{}, fmt.Errorf("scrape of %d samples makes no blob: %s (%s)", len(s.Values), out.Verdict, out.Reason)
	}
	if why == reasonFirst || why == reasonSchema {
		return link{schema: sizeOf(schema), state: state, why: why}, nil
	}
	return link{schema: c.schema, state: state, why: why}, nil
}

// commit makes l the last link of the chain.
func (c *chain) commit(l link) { c.schema, c.state = l.schema, l.state }

// difference makes the incremental blob of s and what the server makes of it, or says why it won't do.
func (c *chain) difference(s *scrape.Scrape) (*scrape.Blob, *scrape.State, reason) {
	delta := scrape.Increment(&c.state.Scrape, s)
	state, out := c.state.Apply(delta, scrape.Arrival{})
	switch {
	case out.Reason == scrape.ReasonNonFinite:
		return nil, nil, reasonNonFinite
	case out.Verdict != scrape.Accepted || !state.Equal(s):
		return nil, nil, reasonInexact
	case c.proven && out.Inferred > 0:
		return nil, nil, reasonUnproven
	}
	return delta, state, reasonNone
}

// link is a scrape with the forms that it can be sent in.
type link struct {
	schema *sizedSchema
	// state has the scrape, and what the server knows once it has it.
	state *scrape.State
	// delta is the incremental form; nil if only the full one will do, for the reason why.
	delta *scrape.Blob
	why   reason
}

// fullBlob returns the full form of a scrape.
func fullBlob(schema *scrape.Schema, s *scrape.Scrape) *scrape.Blob {
	times := make([]int64, len(s.Values))
	for i := range times {
		times[i] = s.Time
	}
	for _, stamp := range s.Stamps {
		times[stamp.Index] = stamp.Time
	}
	return &scrape.Blob{
		Generation: s.Generation,
		Time:       s.Time,
		Samples:    len(s.Values),
		Schema:     schema,
		Values:     s.Values,
		Times:      times,
	}
}
