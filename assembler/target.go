package assembler

import (
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// target is what the assembler knows of one target. A batch works on copies, which replace the kept ones at its end.
type target struct {
	scrape.Target
	// partition is the target's, subject that of its messages in RAW.
	partition int
	subject   string
	// output and header are the subject and the headers of its messages in SCRAPES. The header is shared by all of them.
	output string
	header event.Header
	// state is nil for a target never seen.
	state *scrape.State
	// marked tells that the target was marked for a resync and no full blob was accepted since. A chain of blobs that can't
	// be folded would otherwise mark it again and again.
	marked bool

	// mark is what the batch at hand marks the target with, if its sequence is not 0.
	mark mark
	// remembered tells that state was kept from an earlier batch, so it may be compared with the log.
	remembered bool
}

// mark asks ingest for a full blob that comes after a message of RAW.
type mark struct {
	sequence uint64
	reason   string
}

func newTarget(t scrape.Target, partitions int) *target {
	return &target{
		Target:    t,
		partition: t.Partition(partitions),
		subject:   event.RawSubject(t, partitions),
		output:    event.ScrapeSubject(t, partitions),
		header:    event.TargetHeader(t),
	}
}

// owner returns the target that a delivery speaks of, with what is kept of it. A target that nothing is kept of comes
// without a state. An error says that the delivery is not one of a target on its own subject.
func (a *Assembler) owner(d *bus.Delivery) (t *target, kept bool, err error) {
	name, err := d.Header.Target()
	if err != nil {
		return nil, false, err
	}
	if k := a.targets.peek(name, d.Partition); k != nil {
		t, kept = new(*k), true
		t.mark = mark{} // it was put
	} else {
		t = newTarget(name, a.o.Partitions)
	}
	if t.subject != d.Subject {
		return t, kept, fmt.Errorf("headers name %s, whose subject is %s, but the message is on %s", name, t.subject, d.Subject)
	}
	return t, kept, nil
}

// request marks the target unless it is marked already.
func (t *target) request(sequence uint64, reason string) {
	if !t.marked {
		t.marked = true
		t.mark = mark{sequence, reason}
	}
}

// settle takes the mark back, since a full blob came.
func (t *target) settle() {
	t.marked = false
	t.mark = mark{}
}

// size is about how many bytes t takes in memory.
func (t *target) size() int64 {
	// The struct, its entries in a map and a list, and a header with its strings, some of which are shared.
	const overhead = 700
	n := overhead + len(t.Account) + len(t.Source) + len(t.Name) + len(t.subject) + len(t.output)
	if t.state != nil {
		n += t.state.Size()
	}
	return int64(n)
}
