package scrape

import "unsafe"

// Stamp is the time of one sample whose time differs from its scrape's.
type Stamp struct {
	Index int32 // position in the scrape
	Time  int64 // milliseconds since the Unix epoch
}

// Scrape is all samples of one target at one time, without the schema that names them.
type Scrape struct {
	// Generation is the collector's counter of this target's scrapes.
	Generation int64
	// Time is when the scrape began, in milliseconds since the Unix epoch, by the collector's clock. It is the time of
	// every sample that has no Stamp.
	Time int64
	// Epoch names the scrape within its target: microseconds since the Unix epoch, strictly increasing.
	Epoch int64
	// Received is when the blob arrived, in microseconds since the Unix epoch, by ingest's clock.
	Received int64
	// Full tells whether the blob that gave this scrape was a full one.
	Full bool
	// Schema is the hash of the schema, which has len(Values) series.
	Schema Hash
	// Values has one value for each series, in exposition order.
	Values []float64
	// Stamps are the exceptional times, ascending by Index.
	Stamps []Stamp
	// Inferred are the positions whose value is not proven to be what the target said, ascending.
	Inferred []int32
}

// Blob is one scrape as it travels from a collector.
type Blob struct {
	// Generation, Time: as in Scrape.
	Generation int64
	Time       int64
	// Samples is the number of samples of the whole scrape, also in an incremental blob.
	Samples int
	// Schema is set in a full blob and nil in an incremental one.
	Schema *Schema
	// Index holds, in an incremental blob, the positions that Values and Times speak of, strictly ascending. It is nil in
	// a full blob, whose Values and Times have one entry for each sample.
	Index []int32
	// Values are the samples' values in a full blob, and in an incremental one the differences to the previous values, as
	// the collector's float64 subtraction rounded them.
	Values []float64
	// Times are, in milliseconds, the samples' times in a full blob, and in an incremental one the differences to the
	// samples' previous times.
	Times []int64
}

// Full reports whether b stands for itself.
func (b *Blob) Full() bool { return b.Schema != nil }

// State is what is known about one target after its last accepted blob. The zero State is a target never seen.
// A State is immutable: Apply returns a new one.
type State struct {
	Scrape
	// Runs are the last runs of generations that were accepted, at most MaxRuns; the last one was accepted last and
	// contains Generation.
	Runs []Run
	// Sequence is the sequence in RAW of the message with the blob that gave this state.
	Sequence uint64
	// FullSequence is the sequence in RAW of the message with the last full blob.
	FullSequence uint64
	// Announced is the epoch of the scrape at which the schema was last published for this target, 0 if it was not. Whoever
	// publishes sets it in the state that Apply returned, before anyone else sees that state.
	Announced int64
}

// Size returns about how many bytes st takes in memory, for caches with a limit. What it shares with its predecessor
// counts too.
func (st *State) Size() int {
	return int(unsafe.Sizeof(*st)) +
		cap(st.Values)*int(unsafe.Sizeof(float64(0))) +
		cap(st.Stamps)*int(unsafe.Sizeof(Stamp{})) +
		cap(st.Inferred)*int(unsafe.Sizeof(int32(0))) +
		cap(st.Runs)*int(unsafe.Sizeof(Run{}))
}
