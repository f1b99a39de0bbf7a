package deadletter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestEpochsStayUnique: where the blobs around a letter's arrived in the same request, the live fold has given its epoch to the
// next one. Then the letter's takes the first that is free.
func TestEpochsStayUnique(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(2)
	s.announce(t, schema)
	const received = 5_000_000
	one := apply(t, nil, full(schema, 1, 1, 2), received, 7)
	two := apply(t, one, increment(2, 2), received, 7)
	five := apply(t, two, full(schema, 5, 9, 9), received, 7) // 3 and 4 were refused
	for _, st := range []*scrape.State{one, two, five} {
		s.live(t, st)
	}
	s.buryBlobs(t, 7, received, increment(3, 2), increment(4, 2))
	if got := s.requeueAll(t, false); len(got) != 1 || got[0].Outcome() != Requeued || got[0].Scrapes != 2 {
		t.Fatalf("results %+v", got)
	}
	got := s.requeued(t)
	if len(got) != 2 || got[0].Values[0] != 3 || got[1].Values[0] != 4 {
		t.Fatalf("requeued %+v", got)
	}
	if got[0].Epoch != received+3 || got[1].Epoch != received+4 {
		t.Errorf("epochs %d and %d, the live ones are %d to %d", got[0].Epoch, got[1].Epoch, one.Epoch, five.Epoch)
	}
	if len(s.list(t)) != 0 {
		t.Error("the letter is still there")
	}
}

// TestFullNeedsNoPredecessor: a full blob is folded though nothing of its target is kept, and brings its schema.
func TestFullNeedsNoPredecessor(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(3)
	s.buryBlobs(t, 3, 1_000, full(schema, 40, 1, 2, 3))
	s.buryBlobs(t, 4, 2_000, increment(41, 3))
	for _, r := range s.requeueAll(t, false) {
		if r.Outcome() != Requeued {
			t.Errorf("letter %d: %s %q", r.Sequence, r.Outcome(), r.Faults)
		}
	}
	got := s.requeued(t)
	if len(got) != 2 || got[0].Epoch != 1_000 || got[1].Epoch != 2_000 || got[1].Values[0] != 2 || got[1].FullSequence != 3 {
		t.Errorf("requeued %+v", got)
	}
	if _, err := s.Last(t.Context(), event.Schemas, event.SchemaSubject(testTarget.Account, schema.Hash())); err != nil {
		t.Errorf("the schema: %v", err)
	}
}

// TestPredecessorInRaw: the live state has gone on; a letter is folded from the state as of its place in RAW.
func TestPredecessorInRaw(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(1)
	s.announce(t, schema)
	one := apply(t, nil, full(schema, 1, 10), 1_000, 1)
	three := apply(t, one, full(schema, 3, 99), 3_000, 3)
	four := apply(t, three, increment(4, 1), 4_000, 4)
	for _, st := range []*scrape.State{one, three, four} {
		s.live(t, st)
	}
	s.buryBlobs(t, 2, 2_000, increment(2, 1))
	s.requeueAll(t, false)
	got := s.requeued(t)
	if len(got) != 1 || got[0].Values[0] != 11 || got[0].Epoch != 2_000 || got[0].Runs[0] != (scrape.Run{First: 1, Last: 2}) {
		t.Errorf("requeued %+v", got)
	}
}

// TestPartOfALetter: what can be folded is, once; the letter stays for the rest.
func TestPartOfALetter(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(1)
	s.announce(t, schema)
	s.live(t, apply(t, nil, full(schema, 1, 10), 1_000, 1))
	wrong := increment(3, 1)
	wrong.Index[0] = 7
	s.buryBlobs(t, 2, 2_000, increment(2, 1), wrong, increment(9, 1))
	for _, want := range []Result{{Scrapes: 1}, {Earlier: 1}} {
		got := s.requeueAll(t, false)
		if len(got) != 1 || got[0].Outcome() != Left || got[0].Scrapes != want.Scrapes || got[0].Earlier != want.Earlier {
			t.Fatalf("result %+v, want %+v", got[0], want)
		}
		faults := []string{
			"generation 3 can't be folded (index)",
			"generation 9: the one before it is neither in SCRAPES nor in a letter folded before",
		}
		if diff := cmp.Diff(faults, got[0].Faults); diff != "" {
			t.Errorf("faults (-want +got):\n%s", diff)
		}
	}
	if n := len(s.requeued(t)); n != 1 {
		t.Errorf("%d scrapes requeued, want 1", n)
	}
}

// TestTrimmedScrapesAreKnownByTheirRuns: a blob inside a run of the live state was written, though SCRAPES has lost the scrape.
func TestTrimmedScrapesAreKnownByTheirRuns(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(1)
	one := apply(t, nil, full(schema, 1, 10), 1_000, 1)
	two := apply(t, one, increment(2, 1), 2_000, 2)
	s.live(t, apply(t, two, increment(3, 1), 3_000, 3))
	s.buryBlobs(t, 2, 2_000, increment(2, 1))
	if got := s.requeueAll(t, false); len(got) != 1 || got[0].Outcome() != AlreadyWritten || got[0].Accepted != 1 {
		t.Errorf("results %+v", got)
	}
	if len(s.requeued(t)) > 0 || len(s.list(t)) > 0 {
		t.Error("something was published, or the letter is still there")
	}
}

// TestLostSchema: a scrape whose schema is kept nowhere stays a letter; one whose full blob is in RAW brings it back.
func TestLostSchema(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(1)
	st := apply(t, nil, full(schema, 1, 10), 1_000, 1)
	s.live(t, st)
	s.buryBlobs(t, 2, 2_000, increment(2, 1))
	got := s.requeueAll(t, false)
	if len(got) != 1 || got[0].Outcome() != Left || !strings.Contains(got[0].Faults[0], "schema "+st.Schema.String()+" is kept nowhere") {
		t.Fatalf("results %+v", got)
	}
	data, err := event.EncodeBlobs([]*scrape.Blob{full(schema, 1, 10)})
	if err != nil {
		t.Fatal(err)
	}
	s.append(t, event.Raw, bus.Message{Subject: event.RawSubject(testTarget, bustest.Partitions), Data: data})
	if got := s.requeueAll(t, false); got[0].Outcome() != Requeued {
		t.Errorf("with the full blob in RAW: %s %q", got[0].Outcome(), got[0].Faults)
	}
	if _, err := s.Last(t.Context(), event.Schemas, event.SchemaSubject(testTarget.Account, schema.Hash())); err != nil {
		t.Errorf("the schema: %v", err)
	}
}

// TestLettersOfTheWriter are published as they are, once, however many copies there are.
func TestLettersOfTheWriter(t *testing.T) {
	s := openStore(t)
	schema := schemaOf(1)
	st := apply(t, nil, full(schema, 1, 10), 1_000, 1)
	payload, err := event.EncodeState(st)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.bury(t, event.StageWriter, 5, &eventpb.DeadLetter{
			Reason: "schema_missing", Detail: "writer: no", RawSequence: 1, ReceivedUs: 1_000, Payload: payload, Undecoded: true,
		})
	}
	if got := s.requeueAll(t, false); len(got) != 1 || got[0].Outcome() != Left {
		t.Fatalf("without the schema: %+v", got)
	}
	s.announce(t, schema)
	if got := s.requeueAll(t, true); len(got) != 1 || got[0].Outcome() != Requeued || len(s.requeued(t)) != 0 {
		t.Fatalf("a dry run: %+v", got)
	}
	if got := s.requeueAll(t, false); len(got) != 1 || got[0].Outcome() != Requeued {
		t.Fatalf("results %+v", got)
	}
	if diff := cmp.Diff([]*scrape.State{st}, s.requeued(t)); diff != "" {
		t.Errorf("requeued (-want +got):\n%s", diff)
	}
	if len(s.list(t)) > 0 {
		t.Error("a copy is left")
	}
}

// TestWhatStays: letters that nothing can be made of.
func TestWhatStays(t *testing.T) {
	for _, c := range []struct {
		name   string
		stage  string
		letter *eventpb.DeadLetter
		want   string
	}{
		{"garbage", event.StageAssembler, &eventpb.DeadLetter{Reason: "undecodable", Payload: []byte("x"), Undecoded: true}, "it can't be decoded: "},
		{"nothing", event.StageAssembler, &eventpb.DeadLetter{Reason: "undecodable", Payload: []byte{0}, Undecoded: true}, "it holds no blob"},
		{"misplaced", event.StageAssembler, &eventpb.DeadLetter{Reason: "misplaced", Payload: []byte{0}, Undecoded: true}, "it can't be told whose it is"},
		{"no scrape", event.StageWriter, &eventpb.DeadLetter{Reason: "undecodable", Payload: []byte("x"), Undecoded: true}, "it can't be decoded: "},
		{"refused by ingest", StageIngest, &eventpb.DeadLetter{Reason: "refused", Payload: []byte("x"), Undecoded: true}, "ingest has refused it for ever"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t)
			s.bury(t, c.stage, 4, c.letter)
			got := s.requeueAll(t, false)
			if len(got) != 1 || got[0].Outcome() != Left || len(got[0].Faults) != 1 || !strings.HasPrefix(got[0].Faults[0], c.want) {
				t.Errorf("results %+v, want %q", got, c.want)
			}
			if len(s.list(t)) != 1 || len(s.requeued(t)) > 0 {
				t.Error("the letter is gone, or something was published")
			}
		})
	}
}

// TestRequeueOfWhatIsGone: somebody else has removed the letter since it was listed.
func TestRequeueOfWhatIsGone(t *testing.T) {
	s := openStore(t)
	sequence := s.buryBlobs(t, 3, 1_000, full(schemaOf(1), 1, 1))
	letters := s.list(t)
	if err := s.Remove(t.Context(), event.Dead, sequence); err != nil {
		t.Fatal(err)
	}
	err := s.Requeue(t.Context(), letters, false, func(r *Result) error {
		if diff := cmp.Diff([]string{"it is not in DEAD any more"}, r.Faults); diff != "" {
			t.Errorf("faults (-want +got):\n%s", diff)
		}
		return nil
	})
	if err != nil || len(s.requeued(t)) > 0 {
		t.Errorf("requeue: %v", err)
	}
}

// TestRivals: of two that requeue a letter at the same time one publishes it.
func TestRivals(t *testing.T) {
	s := openStore(t)
	s.buryBlobs(t, 3, 1_000, full(schemaOf(1), 1, 1))
	letters := s.list(t)
	rival := &rivalLog{Log: s.Bus, before: func() { s.requeueAll(t, false) }}
	box, err := NewBox(t.Context(), rival)
	if err != nil {
		t.Fatal(err)
	}
	err = box.Requeue(t.Context(), letters, false, func(*Result) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "run this again") {
		t.Errorf("the second one: %v", err)
	}
	if n := len(s.requeued(t)); n != 1 {
		t.Errorf("%d scrapes published", n)
	}
}
