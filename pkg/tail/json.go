package tail

import (
	"io"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

// JSON writes one object a line: an event, or {"gap": {...}}.
type JSON struct {
	out io.Writer
}

var _ View = (*JSON)(nil)

// NewJSON returns a view that writes to w.
func NewJSON(w io.Writer) *JSON {
	return &JSON{w}
}

// jsonEvent has the names of the protocol, and numbers where protobuf's own JSON has strings: all of them are below 2⁵³.
type jsonEvent struct {
	Sequence    uint64 `json:"sequence"`
	Account     string `json:"account"`
	Source      string `json:"source,omitempty"`
	Target      string `json:"target"`
	InstanceID  string `json:"instance_id"`
	Type        string `json:"type"`
	EpochUs     int64  `json:"epoch_us"`
	TimestampMs int64  `json:"default_timestamp_ms"`
	Generation  int64  `json:"generation"`
	Samples     uint32 `json:"samples"`
	Inferred    uint32 `json:"inferred"`
	Bytes       uint64 `json:"bytes"`
	Data        string `json:"data_path"`
	Metadata    string `json:"metadata_path"`
	Late        bool   `json:"late,omitempty"`
}

// jsonGap has the names of the protocol.
type jsonGap struct {
	Gap struct {
		First uint64 `json:"first_sequence"`
		Last  uint64 `json:"last_sequence"`
	} `json:"gap"`
}

// Event writes an event.
func (j *JSON) Event(e *eventpb.ScrapeWritten) error {
	return j.line(jsonEvent{
		Sequence: e.GetSequence(), Account: e.GetAccount(), Source: e.GetSource(), Target: e.GetTarget(),
		InstanceID: e.GetInstanceId(), Type: e.GetType(), EpochUs: e.GetEpochUs(), TimestampMs: e.GetDefaultTimestampMs(),
		Generation: e.GetGeneration(), Samples: e.GetSamples(), Inferred: e.GetInferred(), Bytes: e.GetBytes(),
		Data: e.GetDataPath(), Metadata: e.GetMetadataPath(), Late: e.GetLate(),
	})
}

// Gap writes a gap.
func (j *JSON) Gap(g *eventpb.Gap) error {
	var line jsonGap
	line.Gap.First, line.Gap.Last = g.GetFirstSequence(), g.GetLastSequence()
	return j.line(line)
}

// line writes a value.
func (j *JSON) line(v any) error { return table.JSON(j.out, v) }
