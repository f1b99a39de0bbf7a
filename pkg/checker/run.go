package checker

import "github.com/zstats/zstats/pkg/scrape"

// Answer is what a collector was told of a blob.
type Answer int

const (
	// Unknown: there was no answer that says; the scrape may be written or not.
	Unknown Answer = iota
	// Acknowledged: code 0; the scrape must be written, or lie in the dead letters.
	Acknowledged
	// Refused: every attempt was answered with another code; the scrape must not be written.
	Refused
)

// Sent is one scrape that was handed to zstats, however often.
type Sent struct {
	Target     scrape.Target
	Generation int64
	Time       int64 // milliseconds since the Unix epoch
	// Digest is of all that the scrape says, Shape of all but the values.
	Digest, Shape Digest
	// Values that were sent, without those of series that have no name; nil if they are not known.
	Values []float64
	// Exact: the sender made sure that the server rebuilds every value, whether it can prove it or not.
	Exact  bool
	Answer Answer // the best of its answers

	// Ledger tells in which ledger the scrape stands. First and Acked are its places there: when it was sent for the first
	// time, and when it was first acknowledged, 0 if it was not. Places in different ledgers can't be compared.
	Ledger, First, Acked int
}

// Written is one scrape found on disk.
type Written struct {
	Target     scrape.Target
	Generation int64
	Time       int64
	Epoch      int64
	// Digest and Shape are as in Sent, and so are Values, which only scrapes with inferred values have.
	Digest, Shape Digest
	Values        []float64
	// Inferred is how many of its values are marked as not proven.
	Inferred int
	// Legacy: the older server has written it; nothing but its being whole can be judged.
	Legacy bool
	// Path of the directory, relative to the root of the files.
	Path string
	// Err says why the files can't be read as one whole scrape that belongs there.
	Err error
}

// Notified is one event.
type Notified struct {
	Target     scrape.Target
	Generation int64
	Epoch      int64
	Sequence   uint64
	// Late: the scrape was written behind newer ones, after its dead letter was requeued.
	Late bool
}

// Dead is one blob in the dead letters.
type Dead struct {
	Target     scrape.Target
	Generation int64
	Reason     string
	// Opaque: nothing can tell which blobs the letter holds. RawSequence is then all that identifies it.
	Opaque      bool
	RawSequence uint64
}

// Run is all that is known of one run. Sent and Notified are not judged if they are nil; Dead is nil if nobody has looked.
type Run struct {
	Sent     []Sent
	Written  []Written
	Notified []Notified
	Dead     []Dead

	// Since is when the sending began to be noted, in milliseconds since the Unix epoch by the collectors' clock: older scrapes
	// need no explanation.
	Since int64
	// Foreign lets scrapes of targets pass that are not among those sent.
	Foreign bool
	// Retention: old files were removed, of each target from its oldest scrape on, and never its newest. What is missing before
	// the first scrape on disk of a target is counted as removed then, not found to be lost.
	Retention bool
	// EventsTrimmed: events before the first one of Notified are no longer kept.
	EventsTrimmed bool
	// Planted are the messages of RAW that no collector has sent, by their sequence.
	Planted map[uint64]bool
}

// id identifies a scrape: two collectors of one target don't share generations, which begin with a clock in nanoseconds.
type id struct {
	target     scrape.Target
	generation int64
}
