package tail

import (
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

// targetName shows a target within its account: name, or @source/name.
func targetName(e *eventpb.ScrapeWritten) string {
	if e.GetSource() == "" {
		return table.Clean(e.GetTarget())
	}
	return table.Clean("@" + e.GetSource() + "/" + e.GetTarget())
}
