package assembler

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/scrape"
)

// Reasons of marks beside those for which the fold refuses blobs and those of poison.
const (
	reasonUnfit  = "unfit"       // a difference fits no value: the state has lost the collector's values
	reasonStrict = "strict"      // a value is not proven, and the account wants none such
	reasonSchema = "schema_lost" // the schema is kept nowhere any more
)

// markReasons returns all reasons of marks.
func markReasons() []string {
	return append(refusalReasons(), reasonUndecodable, reasonPanic, reasonUnfit, reasonStrict, reasonSchema)
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
