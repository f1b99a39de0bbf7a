package deadletter

import (
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTarget = scrape.Target{Account: "acme", Source: "east", Name: "10.0.0.1:9100.node"}

// store is a log with a box on it.
type store struct {
	*bus.Bus
	*Box
}

func openStore(t *testing.T) *store {
	t.Helper()
	b := bustest.Open(t)
	box, err := NewBox(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return &store{b, box}
}

func (s *store) append(t *testing.T, stream string, m bus.Message) uint64 {
	t.Helper()
	sequences, err := s.Append(t.Context(), stream, m)
	if err != nil {
		t.Fatal(err)
	}
	return sequences[0]
}

// live publishes a state as the assembler does.
func (s *store) live(t *testing.T, st *scrape.State) uint64 {
	t.Helper()
	data, err := event.EncodeState(st)
	if err != nil {
		t.Fatal(err)
	}
	return s.append(t, event.Scrapes, bus.Message{
		Subject: event.ScrapeSubject(testTarget, bustest.Partitions), Header: event.TargetHeader(testTarget), Data: data,
	})
}

// announce publishes a schema.
func (s *store) announce(t *testing.T, schema *scrape.Schema) {
	t.Helper()
	data, err := event.EncodeSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	s.append(t, event.Schemas, bus.Message{Subject: event.SchemaSubject(testTarget.Account, schema.Hash()), Data: data})
}

// bury puts a letter of the given stage into DEAD; origin is the sequence of the message that it comes from.
func (s *store) bury(t *testing.T, stage string, origin uint64, l *eventpb.DeadLetter) uint64 {
	t.Helper()
	header := event.TargetHeader(testTarget)
	switch stage {
	case event.StageAssembler:
		header[event.HeaderRawSequence] = strconv.FormatUint(origin, 10)
		l.RawSequence = origin
	case event.StageWriter:
		header[event.HeaderScrapesSequence] = strconv.FormatUint(origin, 10)
	}
	data, err := event.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return s.append(t, event.Dead, bus.Message{Subject: event.DeadSubject(testTarget), Header: header, Data: data})
}

// buryBlobs puts a letter of the assembler with blobs that arrived at the given time into DEAD.
func (s *store) buryBlobs(t *testing.T, raw uint64, received int64, blobs ...*scrape.Blob) uint64 {
	t.Helper()
	payload, err := event.EncodeBlobs(blobs)
	if err != nil {
		t.Fatal(err)
	}
	return s.bury(t, event.StageAssembler, raw, &eventpb.DeadLetter{
		Reason: "gap", Detail: "assembler: refused\nsecond line", ReceivedUs: received, Payload: payload,
	})
}

// list returns all letters.
func (s *store) list(t *testing.T) []*Letter {
	t.Helper()
	all, err := s.List(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// requeueAll requeues all letters and returns the results.
func (s *store) requeueAll(t *testing.T, dry bool) []*Result {
	t.Helper()
	var all []*Result
	err := s.Requeue(t.Context(), s.list(t), dry, func(r *Result) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// requeued returns what was published.
func (s *store) requeued(t *testing.T) []*scrape.State {
	t.Helper()
	var all []*scrape.State
	o := bus.ReadOptions{Stream: event.Scrapes, Subjects: []string{event.AllRequeued}}
	err := s.Scan(t.Context(), o, func(m bus.Message) error {
		if target, err := m.Header.Target(); target != testTarget || err != nil {
			t.Errorf("a requeued scrape names %s, %v", target, err)
		}
		st, err := event.DecodeState(m.Data)
		all = append(all, st)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// schemaOf returns a schema of so many counters.
func schemaOf(series int) *scrape.Schema {
	s := &scrape.Schema{Series: make([]scrape.Series, series)}
	for i := range s.Series {
		s.Series[i] = scrape.Series{Type: "counter", Labels: []scrape.Label{{Name: scrape.MetricName, Value: "m"}, {Name: "i", Value: strconv.Itoa(i)}}}
	}
	return s
}

func at(generation int64) int64 { return 1_700_000_000_000 + generation*5000 }

func full(schema *scrape.Schema, generation int64, values ...float64) *scrape.Blob {
	b := &scrape.Blob{Generation: generation, Time: at(generation), Samples: len(values), Schema: schema, Values: values}
	for range values {
		b.Times = append(b.Times, b.Time)
	}
	return b
}

// increment adds 1 to the first value.
func increment(generation int64, samples int) *scrape.Blob {
	return &scrape.Blob{
		Generation: generation, Time: at(generation), Samples: samples, Index: []int32{0}, Values: []float64{1}, Times: []int64{5000},
	}
}

// apply folds a blob that must be accepted.
func apply(t *testing.T, st *scrape.State, b *scrape.Blob, received int64, raw uint64) *scrape.State {
	t.Helper()
	next, out := st.Apply(b, scrape.Arrival{Received: received, Sequence: raw})
	if out.Verdict != scrape.Accepted {
		t.Fatalf("generation %d: %s", b.Generation, out.Reason)
	}
	return next
}
