package checker

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// TestLog reads events and every form of dead letter from a real log.
func TestLog(t *testing.T) {
	b := bustest.Open(t)
	events, trimmed, err := LoggedEvents(t.Context(), b)
	if err != nil || trimmed || len(events) > 0 {
		t.Errorf("an empty log has events %v, trimmed %v, %v", events, trimmed, err)
	}
	letters, err := DeadLetters(t.Context(), b)
	if err != nil || len(letters) > 0 {
		t.Errorf("an empty log has letters %v, %v", letters, err)
	}

	payload := func(m []byte, err error) []byte { t.Helper(); must(t, err); return m }
	schema := &scrape.Schema{Series: []scrape.Series{{Labels: []scrape.Label{{Name: scrape.MetricName, Value: "m"}}}}}
	full := &scrape.Blob{Generation: 1, Samples: 1, Schema: schema, Values: []float64{1}, Times: []int64{0}}
	increment := &scrape.Blob{Generation: 2, Samples: 1}
	var zip zstatsv1.Compressor
	request := zstatsv1.NewRequest("", []zstatsv1.Instance{zstatsv1.InstanceOf(target.Name, &scrape.Blob{Generation: 4, Samples: 1})})
	state := &scrape.State{Scrape: scrape.Scrape{Generation: 3, Schema: schema.Hash(), Values: []float64{1}}}
	for _, l := range []*eventpb.DeadLetter{
		{Reason: "gap", RawSequence: 7, Payload: payload(event.EncodeBlobs([]*scrape.Blob{full, increment}))},
		{Reason: "place_taken", Undecoded: true, Payload: payload(event.EncodeState(state))},
		{Reason: "refused", Undecoded: true, Payload: zip.Append(nil, zstatsv1.AppendRequest(nil, request))},
		{Reason: "panic", Undecoded: true, Payload: payload(event.EncodeBlobs([]*scrape.Blob{{Generation: 5}}))},
		{Reason: "undecodable", Undecoded: true, RawSequence: 8, Payload: []byte("\x07garbage")},
	} {
		_, err := b.Append(t.Context(), event.Dead, bus.Message{
			Subject: event.DeadSubject(target), Header: event.TargetHeader(target), Data: payload(event.Marshal(l)),
		})
		must(t, err)
	}
	e := &eventpb.ScrapeWritten{Account: target.Account, Target: target.Name, Generation: 1, EpochUs: 99}
	_, err = b.Append(t.Context(), event.Events,
		bus.Message{Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: payload(event.Marshal(e))},
		bus.Message{Subject: event.CheckpointSubject(event.StageWriter, 0), Data: payload(event.Marshal(new(eventpb.Checkpoint)))})
	must(t, err)

	letters, err = DeadLetters(t.Context(), b)
	must(t, err)
	slices.SortStableFunc(letters, func(a, b Dead) int { return cmp.Compare(a.Generation, b.Generation) })
	want := []Dead{
		{Target: target, Reason: "undecodable", Opaque: true, RawSequence: 8},
		{Target: target, Generation: 1, Reason: "gap", RawSequence: 7},
		{Target: target, Generation: 2, Reason: "gap", RawSequence: 7},
		{Target: target, Generation: 3, Reason: "place_taken"},
		{Target: target, Generation: 4, Reason: "refused"},
		{Target: target, Generation: 5, Reason: "panic"},
	}
	if diff := gocmp.Diff(want, letters); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
	events, trimmed, err = LoggedEvents(t.Context(), b)
	must(t, err)
	if diff := gocmp.Diff([]Notified{{Target: target, Generation: 1, Epoch: 99, Sequence: 1}}, events); diff != "" || trimmed {
		t.Errorf("events (-want +got), trimmed %v:\n%s", trimmed, diff)
	}
}
