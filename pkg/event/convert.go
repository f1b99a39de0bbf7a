package event

import (
	"fmt"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// EncodeBlobs encodes the payload of a RAW message.
func EncodeBlobs(blobs []*scrape.Blob) ([]byte, error) { return Marshal(BlobsMessage(blobs)) }

// BlobsMessage turns blobs into their message.
func BlobsMessage(blobs []*scrape.Blob) *eventpb.RawBlobs {
	m := &eventpb.RawBlobs{Blobs: make([]*eventpb.Blob, len(blobs))}
	for i, b := range blobs {
		m.Blobs[i] = blobMessage(b)
	}
	return m
}

func blobMessage(b *scrape.Blob) *eventpb.Blob {
	m := &eventpb.Blob{
		Generation:  b.Generation,
		TimeMs:      b.Time,
		Samples:     uint32(b.Samples),
		IndexDeltas: deltas(b.Index),
		Values:      b.Values,
		Times:       b.Times,
	}
	if b.Full() {
		m.Schema = SchemaMessage(b.Schema)
		m.Times = make([]int64, len(b.Times))
		for i, t := range b.Times {
			m.Times[i] = t - b.Time
		}
	}
	return m
}

// DecodeBlobs decodes the payload of a RAW message.
func DecodeBlobs(data []byte) ([]*scrape.Blob, error) {
	m := new(eventpb.RawBlobs)
	if err := Unmarshal(data, m); err != nil {
		return nil, err
	}
	blobs := make([]*scrape.Blob, len(m.Blobs))
	for i, b := range m.Blobs {
		var err error
		if blobs[i], err = blobFrom(b); err != nil {
			return nil, fmt.Errorf("blob %d: %w", i, err)
		}
	}
	return blobs, nil
}

func blobFrom(m *eventpb.Blob) (*scrape.Blob, error) {
	b := &scrape.Blob{
		Generation: m.Generation,
		Time:       m.TimeMs,
		Samples:    int(m.Samples),
		Values:     m.Values,
		Times:      m.Times,
	}
	if m.Schema == nil {
		b.Index = undelta(m.IndexDeltas)
		return b, nil
	}
	var err error
	if b.Schema, err = SchemaFrom(m.Schema); err != nil {
		return nil, err
	}
	for i := range b.Times {
		b.Times[i] += b.Time
	}
	return b, nil
}

// EncodeState encodes the payload of a SCRAPES message.
func EncodeState(s *scrape.State) ([]byte, error) {
	m := &eventpb.Scrape{
		Generation:       s.Generation,
		TimeMs:           s.Time,
		EpochUs:          s.Epoch,
		ReceivedUs:       s.Received,
		Full:             s.Full,
		SchemaHash:       s.Schema[:],
		Values:           s.Values,
		StampIndexDeltas: make([]uint32, len(s.Stamps)),
		StampTimes:       make([]int64, len(s.Stamps)),
		InferredDeltas:   deltas(s.Inferred),
		Runs:             make([]*eventpb.Run, len(s.Runs)),
		FullSequence:     s.FullSequence,
		AnnouncedUs:      s.Announced,
		RawSequence:      s.Sequence,
	}
	before := int32(0)
	for i, st := range s.Stamps {
		m.StampIndexDeltas[i] = uint32(st.Index - before)
		m.StampTimes[i] = st.Time - s.Time
		before = st.Index
	}
	for i, r := range s.Runs {
		m.Runs[i] = &eventpb.Run{First: r.First, Last: r.Last}
	}
	return Marshal(m)
}

// DecodeState decodes the payload of a SCRAPES message.
func DecodeState(data []byte) (*scrape.State, error) {
	m := new(eventpb.Scrape)
	if err := Unmarshal(data, m); err != nil {
		return nil, err
	}
	s := &scrape.State{
		Scrape: scrape.Scrape{
			Generation: m.Generation,
			Time:       m.TimeMs,
			Epoch:      m.EpochUs,
			Received:   m.ReceivedUs,
			Full:       m.Full,
			Values:     m.Values,
			Inferred:   undelta(m.InferredDeltas),
		},
		Sequence:     m.RawSequence,
		FullSequence: m.FullSequence,
		Announced:    m.AnnouncedUs,
	}
	if copy(s.Schema[:], m.SchemaHash) != len(s.Schema) {
		return nil, fmt.Errorf("scrape's schema hash has %d bytes, not %d", len(m.SchemaHash), len(s.Schema))
	}
	if len(m.StampTimes) != len(m.StampIndexDeltas) {
		return nil, fmt.Errorf("scrape has %d times for %d positions", len(m.StampTimes), len(m.StampIndexDeltas))
	}
	for i, index := range undelta(m.StampIndexDeltas) {
		s.Stamps = append(s.Stamps, scrape.Stamp{Index: index, Time: m.StampTimes[i] + s.Time})
	}
	for _, r := range m.Runs {
		s.Runs = append(s.Runs, scrape.Run{First: r.First, Last: r.Last})
	}
	return s, nil
}

// EncodeSchema encodes the payload of a SCHEMAS message.
func EncodeSchema(s *scrape.Schema) ([]byte, error) { return Marshal(SchemaMessage(s)) }

// DecodeSchema decodes the payload of a SCHEMAS message.
func DecodeSchema(data []byte) (*scrape.Schema, error) {
	m := new(eventpb.Schema)
	if err := Unmarshal(data, m); err != nil {
		return nil, err
	}
	return SchemaFrom(m)
}

// deltas turns ascending positions into differences.
func deltas(index []int32) []uint32 {
	if len(index) == 0 {
		return nil
	}
	out := make([]uint32, len(index))
	before := int32(0)
	for i, v := range index {
		out[i] = uint32(v - before)
		before = v
	}
	return out
}

// undelta turns differences into positions. A sum that overflows becomes negative or descends, which the fold refuses.
func undelta(deltas []uint32) []int32 {
	if len(deltas) == 0 {
		return nil
	}
	out := make([]int32, len(deltas))
	at := int32(0)
	for i, d := range deltas {
		at += int32(d)
		out[i] = at
	}
	return out
}
