package checker

import (
	"bytes"
	"fmt"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// dead returns the blobs in a dead letter.
func dead(m bus.Message) ([]Dead, error) {
	target, err := m.Header.Target()
	if err != nil {
		return nil, err
	}
	l := new(eventpb.DeadLetter)
	if err := event.Unmarshal(m.Data, l); err != nil {
		return nil, err
	}
	one := Dead{Target: target, Reason: l.GetReason(), RawSequence: l.GetRawSequence()}
	generations := generations(l)
	if len(generations) == 0 {
		one.Opaque = true
		return []Dead{one}, nil
	}
	var all []Dead
	for _, g := range generations {
		one.Generation = g
		all = append(all, one)
	}
	return all, nil
}

// generations returns those of the blobs in a letter, as far as they can be told. A letter that holds a message as it was comes
// from ingest (a request of the wire, compressed), from the writer (a rebuilt scrape) or from the assembler (blobs).
func generations(l *eventpb.DeadLetter) (all []int64) {
	if l.GetUndecoded() {
		if in, err := wireInstances(l.GetPayload()); err == nil {
			for i := range in {
				all = append(all, in[i].Gen)
			}
			return all
		}
		if s, err := event.DecodeState(l.GetPayload()); err == nil {
			return []int64{s.Generation}
		}
	}
	blobs, err := decodeBlobs(l.GetPayload())
	if err != nil {
		return nil
	}
	for _, b := range blobs {
		all = append(all, b.Generation)
	}
	return all
}

func decodeBlobs(payload []byte) (blobs []*scrape.Blob, err error) {
	defer func() {
		if p := recover(); p != nil { // a letter may hold what made the assembler panic
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return event.DecodeBlobs(payload)
}

func wireInstances(payload []byte) ([]zstatsv1.Instance, error) {
	var unpack zstatsv1.Decompressor
	body, err := unpack.Append(nil, bytes.NewReader(payload), 1<<30)
	if err != nil {
		return nil, err
	}
	d, err := zstatsv1.NewDecoder(zstatsv1.DefaultLimits())
	if err != nil {
		return nil, err
	}
	r, err := d.Decode(body)
	if err != nil {
		return nil, err
	}
	return r.IData, nil
}
