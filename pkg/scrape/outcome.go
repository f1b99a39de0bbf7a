package scrape

import "strconv"

// Arrival is what the log knows about a blob beside its content.
type Arrival struct {
	// Received is when ingest received it, in microseconds since the Unix epoch.
	Received int64
	// Sequence is that of the message in RAW.
	Sequence uint64
}

// Verdict says what became of a blob.
type Verdict int

const (
	// Accepted: the blob gave a new state.
	Accepted Verdict = iota
	// Duplicate: its generation was accepted before.
	Duplicate
	// Orphan: it is incremental and the state is not the one it was made for.
	Orphan
	// Unusable: it contradicts itself or says what no collector can mean. Ingest refuses such blobs.
	Unusable
)

// String returns the verdict as a word for logs and metrics.
func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case Duplicate:
		return "duplicate"
	case Orphan:
		return "orphan"
	case Unusable:
		return "unusable"
	}
	return "verdict " + strconv.Itoa(int(v))
}

// The reasons of an Outcome. They are stable: dead letters and metrics carry them.
const (
	// ReasonDuplicate: a Duplicate.
	ReasonDuplicate = "duplicate"
	// ReasonNoState: an Orphan; nothing is known about the target.
	ReasonNoState = "no_state"
	// ReasonGap: an Orphan; its generation doesn't follow the state's.
	ReasonGap = "gap"
	// ReasonCount: an Orphan; its number of samples is not the state's.
	ReasonCount = "count"
	// ReasonLength: Unusable; its lists don't fit each other, the number of samples or the schema.
	ReasonLength = "length"
	// ReasonIndex: Unusable; its positions don't ascend or are out of range.
	ReasonIndex = "index"
	// ReasonNonFinite: Unusable; a difference is NaN or infinite.
	ReasonNonFinite = "non_finite"
	// ReasonTime: Unusable; a sample's time overflows.
	ReasonTime = "time"
)

// Reasons returns every reason that an Outcome can have, for metrics that want their labels up front.
func Reasons() []string {
	return []string{
		ReasonDuplicate, ReasonNoState, ReasonGap, ReasonCount, ReasonLength, ReasonIndex, ReasonNonFinite, ReasonTime,
	}
}

// Outcome is what Apply did with a blob.
type Outcome struct {
	Verdict Verdict
	// Reason is why the blob was not accepted, one of the Reason constants; empty if it was.
	Reason string
	// Inferred is how many values of the new state are not proven, whether this blob or an earlier one made them so.
	Inferred int
	// Resync tells that a difference fits no value at all, so the state has lost the collector's values: the target must
	// be asked for a full blob.
	Resync bool
}

func orphan(reason string) Outcome   { return Outcome{Verdict: Orphan, Reason: reason} }
func unusable(reason string) Outcome { return Outcome{Verdict: Unusable, Reason: reason} }
