package assembler

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// letterOf is what a test looks at in a dead letter.
type letterOf struct {
	Reason      string
	Sequence    uint64
	Generations []int64 // of the blobs in it, nil if it is a whole message
}

func (n *node) letters(t testing.TB, target scrape.Target) []letterOf {
	t.Helper()
	all := []letterOf{}
	for _, m := range n.messages(t, event.Dead, event.DeadSubject(target)) {
		l := new(eventpb.DeadLetter)
		if err := event.Unmarshal(m.Data, l); err != nil {
			t.Fatal(err)
		}
		if name, err := m.Header.Target(); err != nil || name != target {
			t.Errorf("dead letter names %s, want %s: %v", name, target, err)
		}
		own := letterOf{Reason: l.Reason, Sequence: l.RawSequence}
		if !l.Undecoded {
			blobs, err := event.DecodeBlobs(l.Payload)
			if err != nil {
				t.Fatal(err)
			}
			own.Generations = blobGenerations(blobs)
		}
		all = append(all, own)
	}
	return all
}

func blobGenerations(blobs []*scrape.Blob) []int64 {
	var all []int64
	for _, b := range blobs {
		all = append(all, b.Generation)
	}
	return all
}

// TestChainBehindAGap: what does not follow goes to the dead letters up to the next full blob, and the target is marked once.
func TestChainBehindAGap(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	blobs := d.chain(2)
	d.next() // 3 is lost
	blobs = append(blobs, d.incremental(), d.incremental(), d.full(), d.incremental())
	d.next() // 8 is lost
	blobs = append(blobs, d.incremental())
	batch := n.feed(t, each(t, testTarget, 0, blobs...)...)
	states := n.process(t, a, batch[:3])
	if got, want := n.markOf(t, testTarget), batch[2].Sequence; got != want {
		t.Errorf("marked with %d, want %d", got, want)
	}
	states = append(states, n.process(t, a, batch[3:4])...)
	if got, want := n.markOf(t, testTarget), batch[2].Sequence; got != want {
		t.Errorf("the chain has changed the mark to %d, want %d", got, want)
	}
	states = append(states, n.process(t, a, batch[4:])...)
	if diff := cmp.Diff([]int64{1, 2, 6, 7}, generations(states)); diff != "" {
		t.Errorf("generations (-want +got):\n%s", diff)
	}
	if got, want := n.markOf(t, testTarget), batch[6].Sequence; got != want {
		t.Errorf("behind the full blob the target is marked with %d, want %d", got, want)
	}
	want := []letterOf{
		{scrape.ReasonGap, batch[2].Sequence, []int64{4}},
		{scrape.ReasonGap, batch[3].Sequence, []int64{5}},
		{scrape.ReasonGap, batch[6].Sequence, []int64{9}},
	}
	if diff := cmp.Diff(want, n.letters(t, testTarget)); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if got := testutil.ToFloat64(a.metrics.deadLetters.WithLabelValues(scrape.ReasonGap)); got != 3 {
		t.Errorf("%v dead letters counted, want 3", got)
	}
	if got := testutil.ToFloat64(a.metrics.marks.WithLabelValues(scrape.ReasonGap)); got != 2 {
		t.Errorf("%v marks counted, want 2", got)
	}
}

// TestRefusals: each way in which a blob can be refused, and what comes of its message.
func TestRefusals(t *testing.T) {
	blobs := func() (d *device, first []*scrape.Blob) {
		d = newDevice("m", 5, 10)
		return d, d.chain(1)
	}
	for name, c := range map[string]struct {
		make   func() []*scrape.Blob
		reason string
		dead   []int64
		states []int64
		marked bool
	}{
		"increments of a target never seen": {
			func() []*scrape.Blob { d, _ := blobs(); return []*scrape.Blob{d.incremental(), d.incremental()} },
			scrape.ReasonNoState, []int64{11, 12}, []int64{}, true,
		},
		"another number of samples": {
			func() []*scrape.Blob { d, all := blobs(); b := d.incremental(); b.Samples = 4; return append(all, b) },
			scrape.ReasonCount, []int64{11}, []int64{10}, true,
		},
		"a full blob whose lists don't fit": {
			func() []*scrape.Blob {
				d, all := blobs()
				b := d.full()
				b.Values = b.Values[1:]
				return append(all, b)
			},
			scrape.ReasonLength, []int64{11}, []int64{10}, true,
		},
		"positions that descend": {
			func() []*scrape.Blob { d, all := blobs(); b := d.incremental(); b.Index[0] = 4; return append(all, b) },
			scrape.ReasonIndex, []int64{11}, []int64{10}, true,
		},
		"a full blob behind a gap in one message": {
			func() []*scrape.Blob {
				d, all := blobs()
				d.next()
				return append(all, d.incremental(), d.full(), d.incremental())
			},
			scrape.ReasonGap, []int64{12}, []int64{10, 13, 14}, false,
		},
		"a gap behind a full blob in one message": {
			func() []*scrape.Blob {
				d, all := blobs()
				all = append(all, d.full())
				d.next()
				return append(all, d.incremental())
			},
			scrape.ReasonGap, []int64{13}, []int64{10, 11}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t)
			a := n.assemble(t, nil)
			batch := n.feed(t, rawMessage(t, testTarget, seconds(0), c.make()...))
			if diff := cmp.Diff(c.states, generations(n.process(t, a, batch))); diff != "" {
				t.Errorf("scrapes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]letterOf{{c.reason, batch[0].Sequence, c.dead}}, n.letters(t, testTarget)); diff != "" {
				t.Errorf("dead letters (-want +got):\n%s", diff)
			}
			if got := n.markOf(t, testTarget) == batch[0].Sequence; got != c.marked {
				t.Errorf("marked: %t, want %t", got, c.marked)
			}
		})
	}
}

// TestPoison: a message that can't be folded as a whole holds up nothing, not even its own target.
func TestPoison(t *testing.T) {
	other := scrape.Target{Account: "acme", Name: "other"}
	for name, c := range map[string]struct {
		change func(*bus.Message)
		panics bool
		owner  scrape.Target
		reason string
		marked bool
	}{
		"no protobuf": {func(m *bus.Message) { m.Data = []byte("garbage") }, false, testTarget, fold.ReasonUndecodable, true},
		// Nobody knows how old the mark of such a message is, so the message behind it marks again.
		"no time":          {func(m *bus.Message) { delete(m.Header, event.HeaderReceived) }, false, testTarget, fold.ReasonUndecodable, false},
		"no parts":         {func(m *bus.Message) { m.Data, m.Header["Zs-Parts"] = nil, "many" }, false, testTarget, fold.ReasonIncomplete, true},
		"a panic":          {func(m *bus.Message) {}, true, testTarget, fold.ReasonPanic, true},
		"another's name":   {func(m *bus.Message) { m.Header[event.HeaderTarget] = other.Name }, false, scrape.Target{Account: "acme", Source: "east", Name: other.Name}, fold.ReasonMisplaced, false},
		"no name":          {func(m *bus.Message) { delete(m.Header, event.HeaderTarget) }, false, scrape.Target{Account: "unknown", Name: event.RawSubject(testTarget, bustest.Partitions)}, fold.ReasonMisplaced, false},
		"no header at all": {func(m *bus.Message) { m.Header = nil }, false, scrape.Target{Account: "unknown", Name: event.RawSubject(testTarget, bustest.Partitions)}, fold.ReasonMisplaced, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := openNode(t)
			d := newDevice("m", 5, 1)
			messages := each(t, testTarget, 0, d.chain(3)...)
			c.change(&messages[1])
			messages = append(messages, rawMessage(t, other, seconds(3), newDevice("m", 5, 1).full()), rawMessage(t, testTarget, seconds(4), d.full()))
			a := n.assemble(t, func(o *Options) {
				o.MaxBatch = 1 // so that the full blob at the end does not make marks needless
				o.hook = func(_ scrape.Target, b *scrape.Blob) {
					if c.panics && b.Generation == 2 {
						panic("planted")
					}
				}
			})
			run(t, a)
			sequences := n.feed(t, messages...)
			states := []*scrape.State{}
			for _, m := range n.waitFor(t, event.Scrapes, allScrapes, 3) {
				states = append(states, decodeState(t, m))
			}
			if got := generations(states); !slices.Equal(got, []int64{1, 1, 4}) {
				t.Errorf("scrapes of generations %v, want 1, the other target's 1, and 4", got)
			}
			letters := n.letters(t, c.owner)
			if len(letters) == 0 || letters[0].Reason != c.reason || letters[0].Sequence != sequences[1].Sequence || letters[0].Generations != nil {
				t.Fatalf("dead letters %+v, want message %d whole because of %s first", letters, sequences[1].Sequence, c.reason)
			}
			m := n.messages(t, event.Dead, event.DeadSubject(c.owner))[0]
			l := new(eventpb.DeadLetter)
			if err := event.Unmarshal(m.Data, l); err != nil || !slices.Equal(l.Payload, messages[1].Data) {
				t.Errorf("the dead letter's payload is not the message's: %v", err)
			}
			// Without a mark of its own, the message behind it marks the target: it does not follow.
			want := sequences[2].Sequence
			if c.marked {
				want = sequences[1].Sequence
			}
			if got := n.markOf(t, testTarget); got != want {
				t.Errorf("marked with %d, want %d", got, want)
			}
			if got := testutil.ToFloat64(a.metrics.poison); got != 1 {
				t.Errorf("%v poisonous messages counted", got)
			}
		})
	}
}

// TestDeadLettersOfARepeatedBatch: a batch that is tried again in this process gives no copies; one that another process
// repeats gives copies that can be told.
func TestDeadLettersOfARepeatedBatch(t *testing.T) {
	n := openNode(t)
	d := newDevice("m", 5, 1)
	d.next()
	batch := n.feed(t, each(t, testTarget, 0, d.incremental(), d.incremental())...)
	a := n.assemble(t, nil)
	for range 3 {
		a.Open(batch[0].Partition)
		if _, err := a.Process(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.messages(t, event.Dead, "zs.dead.>"); len(got) != 2 {
		t.Errorf("%d dead letters for 2 messages", len(got))
	}
	if _, err := n.assemble(t, nil).Process(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int)
	for _, m := range n.messages(t, event.Dead, "zs.dead.>") {
		ids[m.Subject+" "+m.Header[event.HeaderRawSequence]]++
	}
	if len(ids) != 2 {
		t.Errorf("copies can't be told: %v", ids)
	}
}

// TestDeadLettersAndMarksMustBeDurable: without them a batch is not done.
func TestDeadLettersAndMarksMustBeDurable(t *testing.T) {
	d := newDevice("m", 5, 1)
	d.next()
	orphan := d.incremental()
	t.Run("no room for dead letters", func(t *testing.T) {
		n := openLimited(t, event.Limits{DeadBytes: 1})
		if _, err := n.assemble(t, nil).Process(t.Context(), n.feed(t, rawMessage(t, testTarget, seconds(0), orphan))); !errors.Is(err, bus.ErrFull) {
			t.Errorf("Process: %v, want ErrFull", err)
		}
	})
	t.Run("no marks", func(t *testing.T) {
		n, gone := openNode(t), openNode(t)
		gone.Close()
		a := n.assemble(t, func(o *Options) { o.Marks = gone.marks })
		_, err := a.Process(t.Context(), n.feed(t, rawMessage(t, testTarget, seconds(0), orphan)))
		if err == nil || !strings.Contains(err.Error(), "mark acme/@east") {
			t.Errorf("Process: %v, want that the target can't be marked", err)
		}
	})
}

// TestRefusalsAreCheckedAgainstTheLog: should the state in memory not be the one in the log, then the log is right.
func TestRefusalsAreCheckedAgainstTheLog(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	states := n.process(t, a, n.feed(t, rawMessage(t, testTarget, seconds(0), d.chain(2)...)))
	third, _ := states[1].Apply(d.incremental(), scrape.Arrival{Received: seconds(1), Sequence: 2})
	n.keep(t, testTarget, third)
	states = n.process(t, a, n.feed(t, each(t, testTarget, 2, d.incremental(), d.incremental())...))
	if got := generations(states); !slices.Equal(got, []int64{4, 5}) {
		t.Errorf("generations %v, want 4 and 5", got)
	}
	if got := testutil.ToFloat64(a.metrics.statesStale); got != 1 {
		t.Errorf("%v stale states counted, want 1", got)
	}
	if got := n.letters(t, testTarget); len(got) > 0 {
		t.Errorf("dead letters: %+v", got)
	}
}

// TestStateIsRememberedBehindTrimming: a state that the log does not hold any more still tells what is a duplicate.
func TestStateIsRememberedBehindTrimming(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	first := d.full()
	batch := n.feed(t, rawMessage(t, testTarget, seconds(0), first, d.incremental()))
	if _, err := a.Process(t.Context(), batch); err != nil { // SCRAPES is left empty, as trimming does
		t.Fatal(err)
	}
	d.next() // lost
	states := n.process(t, a, n.feed(t, each(t, testTarget, 1, d.incremental(), first, d.full())...))
	if got := generations(states); !slices.Equal(got, []int64{5}) {
		t.Errorf("generations %v, want 5 only", got)
	}
	if got := testutil.ToFloat64(a.metrics.statesStale); got != 0 {
		t.Errorf("%v stale states counted", got)
	}
}

// TestDamagedStateCountsAsNone: the target goes on with its next full blob.
func TestDamagedStateCountsAsNone(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	d.next()
	if _, err := n.Append(t.Context(), event.Scrapes, bus.Message{Subject: event.ScrapeSubject(testTarget, bustest.Partitions), Data: []byte("garbage")}); err != nil {
		t.Fatal(err)
	}
	batch := n.feed(t, each(t, testTarget, 0, d.incremental(), d.full(), d.incremental())...)
	if got := generations(n.process(t, a, batch)); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("generations %v, want 3 and 4", got)
	}
	if got := n.letters(t, testTarget); len(got) != 1 || got[0].Reason != scrape.ReasonNoState {
		t.Errorf("dead letters: %+v", got)
	}
	if got := testutil.ToFloat64(a.metrics.statesDamaged); got != 1 {
		t.Errorf("%v damaged states counted, want 1", got)
	}
}
