package assembler

import (
	"context"
	"fmt"
	"strconv"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// mark asks ingest for a full blob of a target that is behind a message of RAW.
type mark struct {
	sequence uint64
	reason   string
}

// markAfter marks a message's target, or notes that it has sent a full blob.
func (s *step) markAfter(m message, r result) {
	switch {
	case r.resync != "":
		s.mark(m.target, m.arrival.Sequence, r.resync)
	case r.full:
		delete(s.marks, m.target)
		delete(s.a.marked, m.target)
	}
}

// mark marks a target once until its next full blob: a chain of blobs that can't be folded would mark it again and again.
func (s *step) mark(t scrape.Target, sequence uint64, reason string) {
	if _, ok := s.marks[t]; !ok && !s.a.marked[t] {
		s.marks[t] = mark{sequence, reason}
	}
}

func (a *Assembler) putMarks(ctx context.Context, marks map[scrape.Target]mark) error {
	for t, m := range marks {
		if err := a.o.Marks.Put(ctx, event.TargetKey(t), strconv.AppendUint(nil, m.sequence, 10)); err != nil {
			return fmt.Errorf("mark %s: %w", t, err)
		}
		a.marked[t] = true
		a.metrics.marks.WithLabelValues(m.reason).Inc()
	}
	return nil
}
