package render

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// input is one scrape with its schema.
type input struct {
	target scrape.Target
	schema *scrape.Schema
	state  scrape.State
}

// node returns scrapes of one node exporter.
func node(t testing.TB, generations int) []input {
	t.Helper()
	recorded, err := corpus.Node()
	if err != nil {
		t.Fatal(err)
	}
	parser := expo.NewParser([]scrape.Label{{Name: "instance", Value: "h:1"}, {Name: "job", Value: "node"}}, expo.Limits{})
	var all []input
	for g := range generations {
		r := recorded[g%len(recorded)]
		schema, s, err := parser.Parse(r.Body, "text/plain", r.Time)
		if err != nil {
			t.Fatal(err)
		}
		s.Generation, s.Epoch, s.Received = int64(g+1), r.Time*1000, r.Time*1000
		all = append(all, input{
			target: scrape.Target{Account: "acme", Name: "h:1.node"}, schema: schema,
			state: scrape.State{Scrape: *s, Runs: []scrape.Run{{First: 1, Last: s.Generation}}, FullSequence: 1},
		})
	}
	return all
}

// fakeLog has messages of SCHEMAS by subject and of RAW by sequence.
type fakeLog struct {
	schemas map[string][]byte
	raw     map[uint64][]byte
}

func (l fakeLog) Last(_ context.Context, _, subject string) (bus.Message, error) {
	if data, ok := l.schemas[subject]; ok {
		return bus.Message{Data: data}, nil
	}
	return bus.Message{}, bus.ErrNotFound
}

func (l fakeLog) Get(_ context.Context, _ string, sequence uint64) (bus.Message, error) {
	if data, ok := l.raw[sequence]; ok {
		return bus.Message{Data: data}, nil
	}
	return bus.Message{}, bus.ErrNotFound
}

// logOf returns a log with the schemas of inputs.
func logOf(t testing.TB, inputs ...input) fakeLog {
	t.Helper()
	l := fakeLog{schemas: make(map[string][]byte)}
	for _, in := range inputs {
		data, err := event.EncodeSchema(in.schema)
		if err != nil {
			t.Fatal(err)
		}
		l.schemas[event.SchemaSubject(in.target.Account, in.schema.Hash())] = data
	}
	return l
}

func newRenderer(t testing.TB, inputs ...input) *Renderer {
	t.Helper()
	s, err := NewSchemas(Options{Log: logOf(t, inputs...)})
	if err != nil {
		t.Fatal(err)
	}
	return NewRenderer(s)
}
