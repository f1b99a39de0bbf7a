package tail

import (
	"fmt"
	"io"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

// Plain writes a line an event for files and pipes: when the scrape was received (RFC 3339, milliseconds), account, target,
// samples, inferred samples, bytes and path, aligned where they are short, never cut.
type Plain struct {
	out, notes io.Writer
	zone       *time.Location
}

var _ View = (*Plain)(nil)

// NewPlain returns a view that writes events to out and gaps to notes, with times in zone.
func NewPlain(out, notes io.Writer, zone *time.Location) *Plain {
	return &Plain{out, notes, zone}
}

// Event writes an event.
func (p *Plain) Event(e *eventpb.ScrapeWritten) error {
	at := time.UnixMicro(e.GetEpochUs()).In(p.zone).Format("2006-01-02T15:04:05.000Z07:00")
	_, err := fmt.Fprintf(p.out, "%s  %-10s  %-30s  %7d  %5d  %9d  %s\n",
		at, table.Clean(e.GetAccount()), targetName(e), e.GetSamples(), e.GetInferred(), e.GetBytes(), table.Clean(e.GetDataPath()))
	return err
}

// Gap writes a note of a gap.
func (p *Plain) Gap(g *eventpb.Gap) error { return noteGap(p.notes, g) }

func noteGap(w io.Writer, g *eventpb.Gap) error {
	_, err := fmt.Fprintf(w, "gap: events %d to %d are no longer kept, some may be missing here\n", g.GetFirstSequence(), g.GetLastSequence())
	return err
}
