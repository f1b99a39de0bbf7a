package assembler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

const allScrapes = "zs.scrape.>"

func TestNewChecksItsOptions(t *testing.T) {
	n := openNode(t)
	for name, change := range map[string]func(*Options){
		"no bus":          func(o *Options) { o.Bus = nil },
		"no marks":        func(o *Options) { o.Marks = nil },
		"no partitions":   func(o *Options) { o.Partitions = 0 },
		"no id":           func(o *Options) { o.ID = "" },
		"negative cache":  func(o *Options) { o.CacheBytes = -1 },
		"negative period": func(o *Options) { o.ReannouncePeriod = -1 },
		"negative bytes":  func(o *Options) { o.BatchBytes = -1 },
		"negative batch":  func(o *Options) { o.MaxBatch = -1 },
		"negative linger": func(o *Options) { o.Linger = -1 },
	} {
		o := Options{Bus: n.Bus, Marks: n.marks, Partitions: bustest.Partitions, ID: "one"}
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRebuildsScrapes plays the recorded scrapes of a node exporter, most of them as increments, and compares what comes out
// with them.
func TestRebuildsScrapes(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	run(t, a)
	recorded := recordedScrapes(t)
	n.feed(t, each(t, testTarget, 0, blobsOf(recorded)...)...)
	messages := n.waitFor(t, event.Scrapes, allScrapes, len(recorded))
	eventually.Succeeds(t, "ready", a.Ready)
	for i, m := range messages {
		if m.Subject != event.ScrapeSubject(testTarget, bustest.Partitions) {
			t.Fatalf("scrape %d is on %s", i, m.Subject)
		}
		if diff := cmp.Diff(event.TargetHeader(testTarget), m.Header, cmpopts.IgnoreMapEntries(isNATS)); diff != "" {
			t.Fatalf("headers of scrape %d (-want +got):\n%s", i, diff)
		}
		st := decodeState(t, m)
		want := recorded[i].scrape
		if !st.Scrape.Equal(want) {
			t.Fatalf("scrape %d is not what was recorded; %d values inferred", i, len(st.Inferred))
		}
		if st.Epoch != seconds(i) || st.Received != seconds(i) || st.FullSequence != 1 || st.Announced != seconds(0) || st.Full != (i == 0) {
			t.Fatalf("scrape %d: epoch %d, received %d, full sequence %d, announced %d, full %t",
				i, st.Epoch, st.Received, st.FullSequence, st.Announced, st.Full)
		}
	}
	schemas := n.messages(t, event.Schemas, "zs.schema.>")
	if len(schemas) != 1 || schemas[0].Sequence != 1 {
		t.Fatalf("%d schemas published, the first with sequence %d; want one", len(schemas), schemas[0].Sequence)
	}
	if got, err := event.DecodeSchema(schemas[0].Data); err != nil || got.Hash() != recorded[0].schema.Hash() {
		t.Fatalf("another schema was published, or none: %v", err)
	}
	if got := testutil.ToFloat64(a.metrics.samples); got != float64(532*len(recorded)) {
		t.Errorf("%v samples counted, want %d", got, 532*len(recorded))
	}
}

// isNATS tells the server's own headers.
func isNATS(name, _ string) bool { return strings.HasPrefix(name, "Nats-") }

// TestRestartContinuesFromTheLog stops an assembler and starts another, which gets increments only.
func TestRestartContinuesFromTheLog(t *testing.T) {
	n := openNode(t)
	d := newDevice("m", 50, 100)
	stop := run(t, n.assemble(t, nil))
	n.feed(t, each(t, testTarget, 0, d.chain(5)...)...)
	n.waitFor(t, event.Scrapes, allScrapes, 5)
	stop()

	run(t, n.assemble(t, nil))
	n.feed(t, each(t, testTarget, 5, d.incremental(), d.incremental())...)
	messages := n.waitFor(t, event.Scrapes, allScrapes, 7)
	last := decodeState(t, messages[6])
	if !last.Scrape.Equal(d.last) {
		t.Error("the last scrape is not the device's")
	}
	if diff := cmp.Diff([]scrape.Run{{First: 100, Last: 106}}, last.Runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if got := n.markOf(t, testTarget); got != 0 {
		t.Errorf("the target is marked with %d", got)
	}
}

// TestDuplicatesEndHere sends blobs again, in either form.
func TestDuplicatesEndHere(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 10, 1)
	blobs := d.chain(4)
	fullAgain, incrementalAgain := d.next()
	blobs = append(blobs, incrementalAgain)
	batch := n.feed(t, each(t, testTarget, 0, slices.Concat(blobs, blobs, []*scrape.Blob{fullAgain})...)...)
	states := n.process(t, a, batch)
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5}, generations(states)); diff != "" {
		t.Errorf("generations (-want +got):\n%s", diff)
	}
	for form, want := range map[string]float64{formFull: 2, formIncremental: 4} {
		got := testutil.ToFloat64(a.metrics.blobs.WithLabelValues(form, scrape.Duplicate.String(), scrape.ReasonDuplicate))
		if got != want {
			t.Errorf("%v %s duplicates counted, want %v", got, form, want)
		}
	}
	if letters := n.messages(t, event.Dead, "zs.dead.>"); len(letters) > 0 {
		t.Errorf("%d dead letters for duplicates", len(letters))
	}
}

// TestOutputsSayWhereTheyComeFrom: a commit may be cut behind any delivery, so each output must name its own.
func TestOutputsSayWhereTheyComeFrom(t *testing.T) {
	n := openNode(t)
	d := newDevice("m", 10, 1)
	first := d.chain(2)
	other := scrape.Target{Account: "acme", Name: "other"}
	batch := n.feed(t,
		rawMessage(t, testTarget, seconds(0), first...),
		rawMessage(t, testTarget, seconds(1), first...), // again
		rawMessage(t, other, seconds(2), newDevice("m", 10, 50).chain(3)...),
		rawMessage(t, testTarget, seconds(3), d.incremental()),
	)
	outputs, err := n.assemble(t, nil).Process(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	var inputs []int
	for _, o := range outputs {
		inputs = append(inputs, o.Input)
	}
	if want := []int{0, 0, 2, 2, 2, 3}; !slices.Equal(inputs, want) {
		t.Errorf("outputs come from deliveries %v, want %v", inputs, want)
	}
}

// fleet is blobs of several targets, as they arrive.
func fleet(t testing.TB, r *rand.Rand, targets, rounds int) []bus.Message {
	t.Helper()
	devices := make([]*device, targets)
	for i := range devices {
		devices[i] = newDevice(fmt.Sprintf("m%d", i), 1+r.Intn(40), 1+r.Int63n(1000))
	}
	var all []bus.Message
	for round := range rounds {
		for i, d := range devices {
			target := scrape.Target{Account: "acme", Name: fmt.Sprintf("host-%d.job", i)}
			blob := d.incremental()
			switch {
			case round == 0 || r.Intn(30) == 0:
				blob = d.full()
			case r.Intn(30) == 0:
				d.next() // lost: what follows is an orphan
			case r.Intn(30) == 0 && len(blob.Values) > 0:
				blob.Values[0] = 0.1 // fits no value, as all are whole
			}
			all = append(all, rawMessage(t, target, seconds(round*10+i), blob))
		}
	}
	return all
}

// sameStreams checks that two logs keep the same messages on a subject of a stream: subject, headers and payload, and their
// order for each subject.
func sameStreams(t *testing.T, one, two *node, stream, subject string) {
	t.Helper()
	bySubject := func(n *node) map[string][]bus.Message {
		all := make(map[string][]bus.Message)
		for _, m := range n.messages(t, stream, subject) {
			m.Sequence, m.Stored = 0, time.Time{} // differ with the checkpoints in between
			all[m.Subject] = append(all[m.Subject], m)
		}
		return all
	}
	opts := cmp.Options{cmpopts.IgnoreMapEntries(isNATS), cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })}
	if diff := cmp.Diff(bySubject(one), bySubject(two), opts); diff != "" {
		t.Fatalf("%s differs (-one +two):\n%s", stream, diff)
	}
}

// waitDone waits until the assembler's checkpoints cover all of RAW, as a message of its own on each partition shows.
func (n *node) waitDone(t testing.TB) {
	t.Helper()
	seen := make(map[int]bool)
	for i := 0; len(seen) < bustest.Partitions; i++ {
		target := scrape.Target{Account: "end", Name: fmt.Sprint(i)}
		if p := target.Partition(bustest.Partitions); seen[p] {
			continue
		} else {
			seen[p] = true
		}
		n.feed(t, rawMessage(t, target, seconds(0), newDevice("end", 1, 1).full()))
	}
	n.waitFor(t, event.Scrapes, "zs.scrape.*.end.>", bustest.Partitions)
}

// TestTakeoverChangesNothing runs the same input through one assembler and through several that stop and take over at any
// place, and compares what comes out byte for byte.
func TestTakeoverChangesNothing(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	messages := fleet(t, r, 12, 40)

	one := openNode(t)
	run(t, one.assemble(t, nil))
	one.feed(t, messages...)
	one.waitDone(t)

	two := openNode(t)
	for i := 0; len(messages) > 0; i++ {
		size := min(len(messages), 1+r.Intn(200))
		a := two.assemble(t, func(o *Options) {
			o.ID = fmt.Sprintf("worker-%d", i%3)
			o.MaxBatch = 1 + r.Intn(20)
			o.CacheBytes, o.BatchBytes = 1+r.Int63n(20_000), 1+r.Int63n(20_000)
		})
		stop := run(t, a)
		eventually.Succeeds(t, "the next assembler works", a.Ready)
		two.feed(t, messages[:size]...)
		messages = messages[size:]
		stop() // most likely in the midst of it
	}
	run(t, two.assemble(t, nil))
	two.waitDone(t)
	sameStreams(t, one, two, event.Scrapes, allScrapes)
	sameStreams(t, one, two, event.Dead, "zs.dead.>")
}

// TestPausedAssemblerChangesNothing pauses an assembler in the midst of a batch, as SIGSTOP would, lets another one take over
// and finish, and wakes the first.
func TestPausedAssemblerChangesNothing(t *testing.T) {
	messages := fleet(t, rand.New(rand.NewSource(1)), 6, 20)
	one := openNode(t)
	run(t, one.assemble(t, nil))
	one.feed(t, messages...)
	one.waitDone(t)

	two := openNode(t)
	paused, resume := make(chan struct{}), make(chan struct{})
	pause := sync.OnceFunc(func() { close(paused); <-resume })
	zombie := two.assemble(t, func(o *Options) {
		o.ID = "zombie"
		o.hook = func(scrape.Target, *scrape.Blob) { pause() }
	})
	two.feed(t, messages[:60]...)
	stop := run(t, zombie)
	<-paused
	heir := two.assemble(t, func(o *Options) { o.ID = "heir" })
	run(t, heir)
	eventually.Succeeds(t, "the heir works", heir.Ready)
	two.feed(t, messages[60:]...)
	close(resume)
	stop()
	two.waitDone(t)
	sameStreams(t, one, two, event.Scrapes, allScrapes)
}

// TestStatesComeFromTheBatchFirst has no room for any state between batches, and several blobs of each target in a batch.
func TestStatesComeFromTheBatchFirst(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, func(o *Options) { o.CacheBytes = 1 })
	devices := []*device{newDevice("a", 5, 10), newDevice("b", 5, 20), newDevice("c", 5, 30)}
	for round := range 3 {
		var batch []bus.Delivery
		for i := range 5 {
			for k, d := range devices {
				target := scrape.Target{Account: "acme", Name: fmt.Sprint(k)}
				blob := d.incremental()
				if round == 0 && i == 0 {
					blob = d.full()
				}
				batch = append(batch, n.feed(t, rawMessage(t, target, seconds(i), blob))...)
			}
		}
		if states := n.process(t, a, batch); len(states) != len(batch) {
			t.Fatalf("round %d: %d scrapes of %d blobs", round, len(states), len(batch))
		}
		if a.targets.bytes != 0 || a.targets.used.Len() != 0 {
			t.Fatalf("%d targets with %d bytes are kept, beyond the limit", a.targets.used.Len(), a.targets.bytes)
		}
	}
	if hits := testutil.ToFloat64(a.metrics.cacheHits); hits != 0 {
		t.Errorf("%v hits of a cache without room", hits)
	}
	if misses := testutil.ToFloat64(a.metrics.cacheMisses); misses != 9 {
		t.Errorf("%v misses, want one for each target and batch", misses)
	}
}

// TestBatchesAreBounded: no more is rebuilt at once than there is room for, but always something.
func TestBatchesAreBounded(t *testing.T) {
	n := openNode(t)
	d := newDevice("m", 100, 1)
	batch := n.feed(t, each(t, testTarget, 0, d.chain(10)...)...)
	for _, c := range []struct {
		limit       int64
		least, most int
	}{{1, 1, 1}, {5000, 2, 5}, {1 << 20, 10, 10}} {
		outputs, err := n.assemble(t, func(o *Options) { o.BatchBytes = c.limit }).Process(t.Context(), batch)
		if len(outputs) < c.least || len(outputs) > c.most {
			t.Errorf("with room for %d bytes: %d scrapes of 100 samples", c.limit, len(outputs))
		}
		var partial *bus.Partial
		switch errors.As(err, &partial) {
		case true:
			if partial.Done != len(outputs) {
				t.Errorf("%d scrapes of %d deliveries", len(outputs), partial.Done)
			}
		case false:
			if err != nil || len(outputs) != len(batch) {
				t.Errorf("%d scrapes of %d deliveries: %v", len(outputs), len(batch), err)
			}
		}
	}
}

// TestOpenForgets: after Open the log says what a target's state is.
func TestOpenForgets(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	batch := n.feed(t, each(t, testTarget, 0, d.chain(3)...)...)
	if _, err := a.Process(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	// The batch was not committed, so it comes again.
	a.Open(batch[0].Partition)
	if got := generations(n.process(t, a, batch)); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("the batch gives generations %v the second time", got)
	}
	// Other partitions are not touched.
	a.Open((batch[0].Partition + 1) % bustest.Partitions)
	if a.targets.peek(testTarget, batch[0].Partition) == nil {
		t.Error("the target was forgotten with another partition")
	}
}

// TestFailedProcessKeepsNothing ends the context in the midst of a batch.
func TestFailedProcessKeepsNothing(t *testing.T) {
	n := openNode(t)
	a := n.assemble(t, nil)
	d := newDevice("m", 5, 1)
	batch := n.feed(t, each(t, testTarget, 0, d.chain(2)...)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Process(ctx, batch); !errors.Is(err, context.Canceled) {
		t.Fatalf("Process with an ended context: %v", err)
	}
	if a.targets.used.Len() != 0 {
		t.Error("targets of the failed batch are kept")
	}
	if got := testutil.ToFloat64(a.metrics.scrapes); got != 0 {
		t.Errorf("%v scrapes counted", got)
	}
}

// TestSizes rebuilds the smallest scrape there is and the largest that has to work, which travel as parts.
func TestSizes(t *testing.T) {
	for _, series := range []int{0, 1, 500_000} {
		t.Run(fmt.Sprint(series), func(t *testing.T) {
			n := openNode(t)
			stop := run(t, n.assemble(t, nil))
			d := newDevice("m", series, 1)
			r := rand.New(rand.NewSource(1))
			for i := range d.last.Values {
				d.last.Values[i] = float64(r.Int63n(1 << 50)) // so that nothing compresses well
			}
			n.feed(t, rawMessage(t, testTarget, seconds(0), d.full()))
			n.waitFor(t, event.Scrapes, allScrapes, 1)
			stop()
			run(t, n.assemble(t, nil)) // the state comes from the log
			n.feed(t, rawMessage(t, testTarget, seconds(1), d.incremental()))
			messages := n.waitFor(t, event.Scrapes, allScrapes, 2)
			if st := decodeState(t, messages[1]); !st.Scrape.Equal(d.last) {
				t.Error("the scrape is not the device's")
			}
			m, err := n.Last(t.Context(), event.Schemas, event.SchemaSubject(testTarget.Account, d.last.Schema))
			if err != nil {
				t.Fatal(err)
			}
			if !holdsSchema(m.Data, d.last.Schema) {
				t.Error("another schema was published")
			}
		})
	}
}
