package event

import "time"

// DefaultPartitions is how many partitions a new log has. The number is part of the log and can't change later.
const DefaultPartitions = 64

// Stream describes one stream of the log.
type Stream struct {
	Name     string
	Subjects []string
	// LastPerSubject keeps only the last message of each subject.
	LastPerSubject bool
	// MaxAge removes older messages, done or not; 0 for streams that are trimmed behind their readers.
	MaxAge time.Duration
	// MaxBytes bounds the stream; at the bound publishing fails. 0 is unbounded.
	MaxBytes int64
}

// Limits are the configurable bounds of the streams. Bytes of 0 are unbounded.
type Limits struct {
	RawBytes, ScrapesBytes, SchemasBytes, EventsBytes, DeadBytes int64
	// SchemasAge must exceed the age of SCRAPES by the period at which schemas are announced again.
	SchemasAge time.Duration
	DeadAge    time.Duration
}

// Topology returns the streams of the log. RAW, SCRAPES and EVENTS have no age: they hold messages that must be read before
// they may go, and checkpoints, so they are trimmed behind their readers.
func Topology(l Limits) []Stream {
	return []Stream{
		{Name: Raw, Subjects: []string{"zs.raw.>", PartSubject(Raw)}, MaxBytes: l.RawBytes},
		{
			Name:     Scrapes,
			Subjects: []string{"zs.scrape.>", Checkpoints(StageAssembler), PartSubject(Scrapes)},
			MaxBytes: l.ScrapesBytes,
		},
		{
			Name:     Events,
			Subjects: []string{"zs.event.>", Checkpoints(StageWriter), PartSubject(Events)},
			MaxBytes: l.EventsBytes,
		},
		{
			Name: Schemas, Subjects: []string{"zs.schema.>"},
			LastPerSubject: true, MaxAge: l.SchemasAge, MaxBytes: l.SchemasBytes,
		},
		{Name: Dead, Subjects: []string{"zs.dead.>", PartSubject(Dead)}, MaxAge: l.DeadAge, MaxBytes: l.DeadBytes},
	}
}
