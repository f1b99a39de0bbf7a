package assembler

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// published returns the sequence in SCHEMAS of a schema's last publication, which must be the schema; 0 if there is none.
func (n *node) published(t testing.TB, account string, hash scrape.Hash) uint64 {
	t.Helper()
	m, err := n.Last(t.Context(), event.Schemas, event.SchemaSubject(account, hash))
	if errors.Is(err, bus.ErrNotFound) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if !holdsSchema(m.Data, hash) {
		t.Fatalf("what is published as %s is something else", hash)
	}
	return m.Sequence
}

// damage replaces a schema in SCHEMAS by something else.
func (n *node) damage(t testing.TB, account string, hash scrape.Hash, data []byte) {
	t.Helper()
	if _, err := n.Append(t.Context(), event.Schemas, bus.Message{Subject: event.SchemaSubject(account, hash), Data: data}); err != nil {
		t.Fatal(err)
	}
}

func announcements(states []*scrape.State) []int64 {
	all := make([]int64, len(states))
	for i, st := range states {
		all[i] = st.Announced
	}
	return all
}

func TestSchemaIsPublishedBeforeTheBatchAndOnce(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	one, two := newDevice("m", 5, 1), newDevice("m", 5, 1) // of one schema
	other := scrape.Target{Account: "acme", Name: "other"}
	foreign := scrape.Target{Account: "foreign", Name: "other"}
	batch := n.feed(t,
		rawMessage(t, testTarget, seconds(0), one.chain(2)...),
		rawMessage(t, other, seconds(1), two.full()),
		rawMessage(t, foreign, seconds(2), newDevice("m", 5, 1).full()),
		rawMessage(t, testTarget, seconds(3), one.full()),
	)
	outputs, err := a.Process(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	hash := one.last.Schema
	if n.published(t, "acme", hash) == 0 || n.published(t, "foreign", hash) == 0 {
		t.Fatal("a schema is not published, and the batch is ready to be committed")
	}
	states := n.commit(t, outputs)
	if got, want := announcements(states), []int64{seconds(0), seconds(0), seconds(1), seconds(2), seconds(0)}; !slices.Equal(got, want) {
		t.Errorf("announced at %v, want %v", got, want)
	}
	n.process(t, a, n.feed(t, rawMessage(t, other, seconds(4), two.full())))
	if got := len(n.messages(t, event.Schemas, "zs.schema.>")); got != 2 {
		t.Errorf("%d schemas in SCHEMAS, want one for each account", got)
	}
	if got := testutil.ToFloat64(a.metrics.schemasPublished.WithLabelValues(causeNew)); got != 2 {
		t.Errorf("%v schemas published, want 2", got)
	}
}

// TestSchemaIsAnnouncedAgain: once a period is over, and not earlier; by the assembler that published it and by one that has
// never seen it.
func TestSchemaIsAnnouncedAgain(t *testing.T) {
	for name, restart := range map[string]bool{"by the same": false, "by another": true} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t)
			assemble := func() *Assembler {
				return n.assemble(t, func(o *Options) { o.ReannouncePeriod = 10 * time.Second })
			}
			a := assemble()
			d := newDevice("m", 5, 1)
			sequences := []uint64{}
			var states []*scrape.State
			for _, at := range []int{0, 10, 11, 20, 22} {
				if restart {
					a = assemble()
				}
				blob := d.incremental()
				if at == 0 {
					blob = d.full()
				}
				states = append(states, n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(at), blob)))...)
				sequences = append(sequences, n.published(t, "acme", d.last.Schema))
			}
			if want := []uint64{1, 1, 2, 2, 3}; !slices.Equal(sequences, want) {
				t.Errorf("publications %v, want %v", sequences, want)
			}
			if got, want := announcements(states), []int64{seconds(0), seconds(0), seconds(11), seconds(11), seconds(22)}; !slices.Equal(got, want) {
				t.Errorf("announced at %v, want %v", got, want)
			}
		})
	}
}

// TestSchemasThatAlternate: a target that goes back and forth between two sets of series does not publish them each time.
func TestSchemasThatAlternate(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.ReannouncePeriod = 10 * time.Second })
	odd, even := newDevice("odd", 3, 1000), newDevice("even", 4, 2000)
	var states []*scrape.State
	for at, d := range []*device{odd, even, odd, even, odd, even, odd, even} {
		d.last.Generation += 10 // each time another run
		states = append(states, n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(at), d.full())))...)
	}
	for at, st := range states {
		if st.Announced != seconds(at) {
			t.Errorf("scrape %d is announced at %d, want its own epoch %d", at, st.Announced, seconds(at))
		}
	}
	// At 0 and 1, and once half a period has passed, at 6 and 7.
	if got := n.published(t, "acme", odd.last.Schema) + n.published(t, "acme", even.last.Schema); got != 3+4 {
		t.Errorf("the last publications have sequences that add up to %d, want 3 and 4", got)
	}
}

func TestSchemaIsRebuiltFromRaw(t *testing.T) {
	other := newDevice("another", 5, 1)
	payload, err := event.EncodeSchema(other.schema)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"garbage": []byte("garbage"), "another schema": payload} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t)
			a := n.assemble(t, func(o *Options) { o.ReannouncePeriod = 10 * time.Second })
			d := newDevice("m", 5, 1)
			// The message with the last full blob holds another one too.
			n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(0), newDevice("before", 2, 100).full(), d.full())))
			n.damage(t, "acme", d.last.Schema, damaged)
			states := n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(20), d.incremental())))
			if n.published(t, "acme", d.last.Schema) == 0 || states[0].Announced != seconds(20) {
				t.Errorf("the schema is not published again; announced at %d", states[0].Announced)
			}
			if got := testutil.ToFloat64(a.metrics.schemasRebuilt); got != 1 {
				t.Errorf("%v schemas rebuilt, want 1", got)
			}
		})
	}
}

// TestMissingSchemaIsRebuiltFromRaw: SCHEMAS has lost the schema, RAW has not.
func TestMissingSchemaIsRebuiltFromRaw(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.ReannouncePeriod = 10 * time.Second })
	d := newDevice("m", 5, 1)
	full := d.full()
	raw := n.feed(t, rawMessage(t, testTarget, seconds(0), full))
	st, _ := (*scrape.State)(nil).Apply(full, scrape.Arrival{Received: seconds(0), Sequence: raw[0].Sequence})
	st.Announced = st.Epoch
	n.keep(t, testTarget, st)

	states := n.process(t, a, n.feed(t, each(t, testTarget, 10, d.incremental(), d.incremental())...))
	if got := announcements(states); !slices.Equal(got, []int64{seconds(0), seconds(11)}) {
		t.Errorf("announced at %v, want the second scrape to announce", got)
	}
	if n.published(t, "acme", d.last.Schema) == 0 {
		t.Error("the schema is not published again")
	}
	if got := n.markOf(t, testTarget); got != 0 {
		t.Errorf("the target is marked with %d", got)
	}
}

// TestLostSchemaAsksForAFullBlob: the scrapes go on meanwhile.
func TestLostSchemaAsksForAFullBlob(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.ReannouncePeriod = 10 * time.Second })
	d := newDevice("m", 5, 1)
	st, _ := (*scrape.State)(nil).Apply(d.full(), scrape.Arrival{Received: seconds(0), Sequence: 1_000_000})
	st.Announced = st.Epoch
	n.keep(t, testTarget, st)

	batch := n.feed(t, each(t, testTarget, 20, d.incremental(), d.incremental())...)
	states := n.process(t, a, batch)
	if got := announcements(states); !slices.Equal(got, []int64{seconds(0), seconds(0)}) {
		t.Errorf("scrapes are announced at %v although their schema is gone", got)
	}
	if got := n.markOf(t, testTarget); got != batch[0].Sequence {
		t.Errorf("the target is marked with %d, want the first message %d", got, batch[0].Sequence)
	}
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(reasonSchema)); got != 1 {
		t.Errorf("%v marks, want one", got)
	}
	states = n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(22), d.full())))
	if n.published(t, "acme", d.last.Schema) == 0 || states[0].Announced != seconds(22) {
		t.Error("the full blob has not published the schema")
	}
}

// keep puts a state into SCRAPES.
func (n *node) keep(t testing.TB, target scrape.Target, st *scrape.State) {
	t.Helper()
	data, err := event.EncodeState(st)
	if err != nil {
		t.Fatal(err)
	}
	m := bus.Message{Subject: event.ScrapeSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data}
	if _, err := n.Append(t.Context(), event.Scrapes, m); err != nil {
		t.Fatal(err)
	}
}

// TestSchemasFull: a scrape whose schema can't be published must wait.
func TestSchemasFull(t *testing.T) {
	n := openLimited(t, event.Limits{SchemasBytes: 1})
	a := n.assemble(t, nil)
	batch := n.feed(t, rawMessage(t, testTarget, seconds(0), newDevice("m", 50, 1).full()))
	for range 2 {
		a.Open(batch[0].Partition)
		if _, err := a.Process(t.Context(), batch); !errors.Is(err, bus.ErrFull) {
			t.Errorf("Process: %v, want ErrFull", err)
		}
	}
}
