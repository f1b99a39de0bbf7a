package assembler

import (
	"strconv"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
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
	// mark is the target's last one, if no full blob was accepted since; otherwise it is zero.
	mark mark

	// marking tells that mark comes from the batch at hand.
	marking bool
	// remembered tells that state was kept from an earlier batch, so it may be compared with the log.
	remembered bool
}

// mark asks ingest for a full blob that comes after a message of RAW.
type mark struct {
	sequence uint64
	received int64 // when the message arrived, microseconds since the Unix epoch
	reason   string
}

// patience is how long blobs that can't be folded may go on arriving behind a mark, in microseconds. Ingest heeds a mark as
// soon as it sees it, so after that time the mark must have been lost.
const patience = 60_000_000

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
// without a state. Poison says that the delivery is not one of a target on its own subject.
func (a *Assembler) owner(d *bus.Delivery) (t *target, kept bool, err error) {
	name, err := d.Header.Target()
	if err != nil {
		return nil, false, &fold.Poison{Reason: fold.ReasonMisplaced, Err: err}
	}
	if k := a.targets.peek(name, d.Partition); k != nil {
		t, kept = new(*k), true
		t.marking = false
	} else {
		t = newTarget(name, a.o.Partitions)
	}
	return t, kept, fold.CheckSubject(name, t.subject, d.Subject)
}

// request marks the target with the message d, unless a mark of it still counts. A chain of blobs that can't be folded would
// otherwise mark it again and again.
func (t *target) request(d *bus.Delivery, reason string) {
	if at := received(d); t.mark.sequence < lastFull(d) || at-t.mark.received > patience {
		t.mark, t.marking = mark{d.Sequence, at, reason}, true
	}
}

// settle forgets the mark, since a full blob was accepted.
func (t *target) settle() { t.mark, t.marking = mark{}, false }

// received returns when a message arrived, 0 if it doesn't say.
func received(d *bus.Delivery) int64 {
	at, _ := strconv.ParseInt(d.Header[event.HeaderReceived], 10, 64)
	return at
}

// lastFull returns the sequence of the last full blob of the message's target in RAW, up to the message itself. Ingest goes by
// it whatever became of that blob here: a mark with a lower sequence doesn't count any more.
func lastFull(d *bus.Delivery) uint64 {
	sequence, _ := strconv.ParseUint(d.Header[event.HeaderFull], 10, 64)
	if sequence == 0 {
		return d.Sequence
	}
	return sequence
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
