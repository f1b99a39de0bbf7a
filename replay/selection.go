package replay

import (
	"math"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/glob"
	"github.com/zstats/zstats/pkg/scrape"
)

// selection says which scrapes a replay is about.
type selection struct {
	account      string
	names        glob.Glob
	since, until int64 // epochs, both inclusive
}

func newSelection(o *Options) (selection, error) {
	s := selection{account: o.Account, since: math.MinInt64, until: math.MaxInt64}
	if !o.Since.IsZero() {
		s.since = o.Since.UnixMicro()
	}
	if !o.Until.IsZero() {
		s.until = o.Until.UnixMicro()
	}
	var err error
	s.names, err = glob.Parse(o.Target)
	return s, err
}

func (s *selection) hasTarget(t scrape.Target) bool {
	return (s.account == "" || s.account == t.Account) && s.names.Match(t.Name)
}

func (s *selection) hasEpoch(epoch int64) bool { return s.since <= epoch && epoch <= s.until }

// subject matches the messages of a source that may be about the selection.
func (s *selection) subject(source Source) string {
	if source == FromRaw {
		return event.RawFilter(s.account)
	}
	return event.ScrapeFilter(s.account)
}
