package assembler

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// reasonSchema is a reason of marks beside those of package fold: the schema is kept nowhere any more.
const reasonSchema = "schema_lost"

// markReasons returns all reasons of marks.
func markReasons() []string {
	return append(refusalReasons(), fold.ReasonUndecodable, fold.ReasonPanic, fold.ReasonIncomplete, fold.ReasonUnfit, fold.ReasonStrict, reasonSchema)
}

// refusalReasons returns all reasons for which the fold refuses blobs.
func refusalReasons() []string {
	var all []string
	for _, r := range scrape.Reasons() {
		if r != scrape.ReasonDuplicate {
			all = append(all, r)
		}
	}
	return all
}

// publishMarks puts the batch's marks, several at a time.
func (s *step) publishMarks(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, t := range s.order {
		if !t.marking {
			continue
		}
		s.tally.marks[t.mark.reason]++
		group.Go(func() error {
			failpoint.Hit("assembler.marks.before")
			if err := s.a.marks.Put(ctx, event.TargetKey(t.Target), strconv.AppendUint(nil, t.mark.sequence, 10)); err != nil {
				return fmt.Errorf("mark %s for a resync: %w", t, err)
			}
			failpoint.Hit("assembler.marks.after")
			return nil
		})
	}
	return group.Wait()
}
