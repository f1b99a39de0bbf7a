package assembler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a log on an embedded server.
type node struct {
	*bus.Bus
	marks *bus.Bucket
	fulls map[string]uint64 // by subject: the sequence in RAW of the last message with a full blob
}

func openNode(t testing.TB) *node { return openLimited(t, event.Limits{}) }

func openLimited(t testing.TB, limits event.Limits) *node {
	t.Helper()
	b := bustest.OpenLimited(t, limits)
	marks, err := b.Bucket(t.Context(), event.ResyncBucket, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &node{b, marks, make(map[string]uint64)}
}

// assemble returns an assembler on the log; change may alter its options.
func (n *node) assemble(t testing.TB, change func(*Options)) *Assembler {
	t.Helper()
	o := Options{
		Bus: n.Bus, Marks: n.marks, Partitions: bustest.Partitions, ID: "one", Linger: time.Millisecond,
		Logger: zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel)), Registerer: prometheus.NewRegistry(),
	}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs an assembler until the returned function is called, which waits for its end.
func run(t testing.TB, a *Assembler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// rawMessage returns the message of a target's blobs that arrived at the given microsecond.
func rawMessage(t testing.TB, target scrape.Target, received int64, blobs ...*scrape.Blob) bus.Message {
	t.Helper()
	data, err := event.EncodeBlobs(blobs)
	if err != nil {
		t.Fatal(err)
	}
	last := blobs[len(blobs)-1]
	head := event.Head{
		Received: received, Run: scrape.Run{First: last.Generation, Last: last.Generation}, Samples: last.Samples,
	}
	if !slices.ContainsFunc(blobs, (*scrape.Blob).Full) {
		head.FullSequence = 1 // feed knows better
	}
	h := event.TargetHeader(target)
	head.Set(h)
	return bus.Message{Subject: event.RawSubject(target, bustest.Partitions), Header: h, Data: data}
}

// feed appends messages to RAW and returns them as deliveries.
func (n *node) feed(t testing.TB, messages ...bus.Message) []bus.Delivery {
	t.Helper()
	var deliveries []bus.Delivery
	for len(messages) > 0 {
		part := n.head(messages)
		messages = messages[len(part):]
		sequences, err := n.Append(t.Context(), event.Raw, part...)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range part {
			m.Sequence = sequences[i]
			if m.Header[event.HeaderFull] == "0" {
				n.fulls[m.Subject] = m.Sequence
			}
			p, ok := event.Partition(m.Subject)
			if !ok {
				t.Fatalf("subject %s is of no partition", m.Subject)
			}
			deliveries = append(deliveries, bus.Delivery{Partition: p, Message: m})
		}
	}
	return deliveries
}

// head returns copies of the first messages, as many as can be appended at once. Like ingest it has the headers of those
// without a full blob say where their target's last one is, so none of them can be behind that one in the same batch.
func (n *node) head(messages []bus.Message) []bus.Message {
	var part []bus.Message
	full := make(map[string]bool)
	for _, m := range messages[:min(len(messages), 500)] {
		if full[m.Subject] {
			break
		}
		m.Header = maps.Clone(m.Header)
		full[m.Subject] = m.Header[event.HeaderFull] == "0"
		if last := n.fulls[m.Subject]; last > 0 && !full[m.Subject] && m.Header != nil {
			m.Header[event.HeaderFull] = strconv.FormatUint(last, 10)
		}
		part = append(part, m)
	}
	return part
}

// process does with a batch what the worker does: it commits the outputs, and hands over what is left. It returns the states
// in the outputs.
func (n *node) process(t testing.TB, a *Assembler, batch []bus.Delivery) []*scrape.State {
	t.Helper()
	var states []*scrape.State
	for {
		outputs, err := a.Process(t.Context(), batch)
		var partial *bus.Partial
		if err != nil && !errors.As(err, &partial) {
			t.Fatal(err)
		}
		states = append(states, n.commit(t, outputs)...)
		if err == nil {
			return states
		}
		if partial.Done < 1 || partial.Done >= len(batch) {
			t.Fatalf("%d of %d deliveries handled", partial.Done, len(batch))
		}
		batch = batch[partial.Done:]
	}
}

func (n *node) commit(t testing.TB, outputs []bus.Output) []*scrape.State {
	t.Helper()
	messages := make([]bus.Message, len(outputs))
	states := make([]*scrape.State, len(outputs))
	for i, o := range outputs {
		if i > 0 && o.Input < outputs[i-1].Input {
			t.Fatalf("output %d comes from delivery %d, the one before from %d", i, o.Input, outputs[i-1].Input)
		}
		messages[i], states[i] = o.Message, decodeState(t, o.Message)
	}
	if err := n.AppendAll(t.Context(), event.Scrapes, messages); err != nil {
		t.Fatal(err)
	}
	return states
}

func decodeState(t testing.TB, m bus.Message) *scrape.State {
	t.Helper()
	st, err := event.DecodeState(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func generations(states []*scrape.State) []int64 {
	all := []int64{}
	for _, st := range states {
		all = append(all, st.Generation)
	}
	return all
}

// messages returns what a stream keeps on a subject, with wildcards, in order.
func (n *node) messages(t testing.TB, stream, subject string) []bus.Message {
	t.Helper()
	var all []bus.Message
	for from := uint64(1); ; {
		place, err := n.Find(t.Context(), stream, subject, from)
		if errors.Is(err, bus.ErrNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := n.Get(t.Context(), stream, place.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		from = place.Sequence + 1
	}
}

// waitFor waits until a stream keeps n messages on a subject, and returns them.
func (n *node) waitFor(t testing.TB, stream, subject string, count int) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := n.Read(ctx, bus.ReadOptions{Stream: stream, Subjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := make([]bus.Message, 0, count)
	for len(all) < count {
		m, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("%d of %d messages on %s: %v", len(all), count, subject, err)
		}
		all = append(all, m)
	}
	return all
}

// markOf returns the RAW sequence that a target is marked with, 0 for none.
func (n *node) markOf(t testing.TB, target scrape.Target) uint64 {
	t.Helper()
	value, err := n.marks.Get(t.Context(), event.TargetKey(target))
	if errors.Is(err, bus.ErrNotFound) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

var testTarget = scrape.Target{Account: "acme", Source: "east", Name: "10.0.0.1:9100.node"}

// device stands for a target and its collector: it makes scrapes and the blobs of them.
type device struct {
	schema *scrape.Schema
	last   *scrape.Scrape
}

// newDevice returns a device whose series are those of a family and whose next generation is the given one.
func newDevice(family string, series int, generation int64) *device {
	schema := &scrape.Schema{Series: make([]scrape.Series, series)}
	for i := range schema.Series {
		schema.Series[i] = scrape.Series{
			Help: "Counts.", Type: "counter",
			Labels: []scrape.Label{{Name: scrape.MetricName, Value: family}, {Name: "i", Value: strconv.Itoa(i)}},
		}
	}
	return &device{schema, &scrape.Scrape{
		Generation: generation - 1, Time: 1_700_000_000_000, Schema: schema.Hash(), Values: make([]float64, series),
	}}
}

// next makes a scrape, in which some values have grown by whole numbers, and returns its blob in both forms.
func (d *device) next() (full, incremental *scrape.Blob) {
	before := d.last
	s := *before
	s.Generation++
	s.Time += 5000
	s.Values = slices.Clone(before.Values)
	for i := range s.Values {
		if (int64(i)+s.Generation)%3 == 0 {
			s.Values[i] += float64(i%7 + 1)
		}
	}
	d.last = &s
	return fullBlob(d.schema, &s), scrape.Increment(before, &s)
}

func (d *device) full() *scrape.Blob        { b, _ := d.next(); return b }
func (d *device) incremental() *scrape.Blob { _, b := d.next(); return b }

// chain returns a full blob and n-1 incremental ones behind it.
func (d *device) chain(n int) []*scrape.Blob {
	blobs := []*scrape.Blob{d.full()}
	for len(blobs) < n {
		blobs = append(blobs, d.incremental())
	}
	return blobs
}

func fullBlob(schema *scrape.Schema, s *scrape.Scrape) *scrape.Blob {
	b := &scrape.Blob{
		Generation: s.Generation, Time: s.Time, Samples: len(s.Values), Schema: schema, Values: s.Values,
		Times: make([]int64, len(s.Values)),
	}
	for i := range b.Times {
		b.Times[i] = s.Time
	}
	for _, st := range s.Stamps {
		b.Times[st.Index] = st.Time
	}
	return b
}

// seconds is a time of arrival.
func seconds(n int) int64 { return 1_700_000_000_000_000 + int64(n)*1_000_000 }

// each returns a message for each blob, which arrive a second apart.
func each(t testing.TB, target scrape.Target, from int, blobs ...*scrape.Blob) []bus.Message {
	t.Helper()
	all := make([]bus.Message, len(blobs))
	for i, b := range blobs {
		all[i] = rawMessage(t, target, seconds(from+i), b)
	}
	return all
}
