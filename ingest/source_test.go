package ingest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// scraped is one scrape of a target in both forms.
type scraped struct {
	full, incr zstatsv1.Instance
}

// source is a target and its collector: it makes one scrape after the other.
type source struct {
	name   string
	schema *scrape.Schema
	last   *scrape.Scrape
}

// newSource returns a target with n series whose first generation is the given one.
func newSource(name string, generation int64, n int) *source {
	s := &source{name: name}
	s.restart(generation, n)
	return s
}

// restart begins a new run with other series.
func (s *source) restart(generation int64, n int) {
	s.schema = &scrape.Schema{OptionalLabels: []string{"instance", "job"}}
	for i := range n {
		s.schema.Series = append(s.schema.Series, scrape.Series{
			Labels: []scrape.Label{
				{Name: scrape.MetricName, Value: fmt.Sprintf("m%d_total", i)},
				{Name: "instance", Value: s.name}, {Name: "job", Value: "j"},
			},
			Help: "Things counted.", Type: "counter",
		})
	}
	s.last = &scrape.Scrape{Generation: generation - 1, Time: generation * 1000, Schema: s.schema.Hash(), Values: make([]float64, n)}
}

// next scrapes: every second value grows.
func (s *source) next() scraped {
	next := &scrape.Scrape{
		Generation: s.last.Generation + 1, Time: s.last.Time + 5000, Schema: s.last.Schema, Values: make([]float64, len(s.last.Values)),
	}
	for i, v := range s.last.Values {
		next.Values[i] = v + float64(i%2+int(next.Generation%3))
	}
	out := scraped{full: zstatsv1.InstanceOf(s.name, fullBlob(s.schema, next))}
	out.incr = zstatsv1.InstanceOf(s.name, scrape.Increment(s.last, next))
	s.last = next
	return out
}

func (s *source) target() scrape.Target { return scrape.Target{Account: testAccount, Name: s.name} }

func fullBlob(schema *scrape.Schema, s *scrape.Scrape) *scrape.Blob {
	b := &scrape.Blob{
		Generation: s.Generation, Time: s.Time, Samples: len(s.Values),
		Schema: schema, Values: s.Values, Times: make([]int64, len(s.Values)),
	}
	for i := range b.Times {
		b.Times[i] = s.Time
	}
	return b
}

// entry is a message of RAW.
type entry struct {
	sequence uint64
	target   scrape.Target
	head     event.Head
	blobs    []*scrape.Blob
}

// words shows an entry as "name f1 i2 i3".
func (e entry) String() string {
	out := e.target.Name
	for _, b := range e.blobs {
		if b.Full() {
			out += fmt.Sprintf(" f%d", b.Generation)
		} else {
			out += fmt.Sprintf(" i%d", b.Generation)
		}
	}
	return out
}

func entryOf(m bus.Message) (e entry, err error) {
	e.sequence = m.Sequence
	if e.target, err = m.Header.Target(); err != nil {
		return e, err
	}
	if e.head, err = event.ReadHead(m.Header, m.Sequence); err != nil {
		return e, err
	}
	e.blobs, err = event.DecodeBlobs(m.Data)
	return e, err
}

// messages returns all messages of a stream without parts.
func (n *node) messages(t testing.TB, stream string) []bus.Message {
	t.Helper()
	ctx := context.Background()
	_, last, err := n.bus.Bounds(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	var out []bus.Message
	for sequence := uint64(1); sequence <= last; sequence++ {
		m, err := n.bus.Get(ctx, stream, sequence)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != event.PartSubject(stream) {
			out = append(out, m)
		}
	}
	return out
}

// raw returns what lies in RAW.
func (n *node) raw(t testing.TB) []entry {
	t.Helper()
	var out []entry
	for _, m := range n.messages(t, event.Raw) {
		e, err := entryOf(m)
		if err != nil {
			t.Fatalf("message %d: %v", m.Sequence, err)
		}
		if want := event.RawSubject(e.target, bustest.Partitions); m.Subject != want {
			t.Errorf("message %d is on %s, want %s", m.Sequence, m.Subject, want)
		}
		out = append(out, e)
	}
	return out
}

func words(entries []entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.String()
	}
	return out
}

func (n *node) wantRaw(t testing.TB, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, words(n.raw(t)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("RAW (-want +got):\n%s", diff)
	}
}

func wantCodes(t testing.TB, got []int8, want ...int8) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// fold is what the assembler makes of RAW.
type fold struct {
	states      map[scrape.Target]*scrape.State
	generations map[scrape.Target][]int64 // accepted, in order
	duplicates  int
}

// foldRaw folds entries and reports everything that could not be applied.
func foldRaw(t testing.TB, entries []entry) *fold {
	t.Helper()
	f := &fold{states: make(map[scrape.Target]*scrape.State), generations: make(map[scrape.Target][]int64)}
	for _, e := range entries {
		for _, b := range e.blobs {
			next, out := f.states[e.target].Apply(b, scrape.Arrival{Received: e.head.Received, Sequence: e.sequence})
			switch out.Verdict {
			case scrape.Accepted:
				f.generations[e.target] = append(f.generations[e.target], b.Generation)
				f.states[e.target] = next
			case scrape.Duplicate:
				f.duplicates++
			default:
				t.Errorf("message %d, generation %d of %s: %s (%s)", e.sequence, b.Generation, e.target, out.Verdict, out.Reason)
			}
		}
	}
	return f
}

// wantScrapes checks that the source's last scrape is what the log gives, and that the log gives these generations.
func (f *fold) wantScrapes(t testing.TB, s *source, generations ...int64) {
	t.Helper()
	if diff := cmp.Diff(generations, f.generations[s.target()]); diff != "" {
		t.Errorf("generations of %s (-want +got):\n%s", s.name, diff)
	}
	st := f.states[s.target()]
	if st == nil {
		t.Errorf("%s has no state", s.name)
		return
	}
	if diff := cmp.Diff(s.last.Values, st.Values); diff != "" {
		t.Errorf("values of %s (-want +got):\n%s", s.name, diff)
	}
}
