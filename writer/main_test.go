package writer

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		runAndCrash(dir)
	}
	goleak.VerifyTestMain(m)
}

// newLog returns a bus on an embedded server in dir, with the streams of the log.
func newLog(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, stop, err := openLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return b
}

func openLog(ctx context.Context, dir string) (*bus.Bus, func(), error) {
	s, err := bus.StartServer(ctx, bus.ServerOptions{Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	b, err := bus.Connect(bus.Options{Server: s})
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	stop := func() { b.Close(); s.Close() }
	if err := b.EnsureStreams(ctx, event.Topology(event.Limits{}), bustest.Partitions); err != nil {
		stop()
		return nil, nil, err
	}
	return b, stop, nil
}

// input is one scrape as the assembler hands it over, with its schema.
type input struct {
	target scrape.Target
	schema *scrape.Schema
	state  scrape.State
}

// node returns scrapes of targets that each expose a node exporter: for each generation one of every target.
func node(t testing.TB, targets, generations int) []input {
	t.Helper()
	recorded, err := corpus.Node()
	if err != nil {
		t.Fatal(err)
	}
	parsers := make([]*expo.Parser, targets)
	for i := range parsers {
		parsers[i] = expo.NewParser([]scrape.Label{{Name: "instance", Value: host(i)}, {Name: "job", Value: "node"}}, expo.Limits{})
	}
	var all []input
	for g := range generations {
		for i, parser := range parsers {
			r := recorded[g%len(recorded)]
			schema, s, err := parser.Parse(r.Body, "text/plain", r.Time)
			if err != nil {
				t.Fatal(err)
			}
			s.Generation = int64(g + 1)
			s.Received = (r.Time + int64(i)) * 1000
			s.Epoch = s.Received
			s.Full = g == 0
			all = append(all, input{
				target: scrape.Target{Account: "acme", Name: host(i) + ".node"},
				schema: schema,
				state:  scrape.State{Scrape: *s, Runs: []scrape.Run{{First: 1, Last: s.Generation}}, Sequence: uint64(len(all) + 1), FullSequence: 1},
			})
		}
	}
	return all
}

func host(i int) string { return "node-" + strconv.Itoa(i) + ":9100" }

// delivery returns the message of a scrape as the worker delivers it.
func (in input) delivery(t testing.TB) bus.Delivery {
	t.Helper()
	return bus.Delivery{Partition: in.target.Partition(bustest.Partitions), Message: in.message(t)}
}

func (in input) message(t testing.TB) bus.Message {
	t.Helper()
	data, err := event.EncodeState(&in.state)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{
		Subject: event.ScrapeSubject(in.target, bustest.Partitions),
		Header:  event.TargetHeader(in.target),
		Data:    data,
	}
}

func deliveries(t testing.TB, inputs []input) []bus.Delivery {
	t.Helper()
	batch := make([]bus.Delivery, len(inputs))
	for i, in := range inputs {
		batch[i] = in.delivery(t)
	}
	return batch
}

// announce publishes the schemas of scrapes.
func announce(t testing.TB, b *bus.Bus, inputs []input) {
	t.Helper()
	known := make(map[string]bool)
	var messages []bus.Message
	for _, in := range inputs {
		subject := event.SchemaSubject(in.target.Account, in.state.Schema)
		if known[subject] {
			continue
		}
		known[subject] = true
		data, err := event.EncodeSchema(in.schema)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, bus.Message{Subject: subject, Data: data})
	}
	appendAll(t, b, event.Schemas, messages)
}

// feed publishes scrapes and their schemas.
func feed(t testing.TB, b *bus.Bus, inputs []input) {
	t.Helper()
	announce(t, b, inputs)
	messages := make([]bus.Message, len(inputs))
	for i, in := range inputs {
		messages[i] = in.message(t)
	}
	appendAll(t, b, event.Scrapes, messages)
}

func appendAll(t testing.TB, b *bus.Bus, stream string, messages []bus.Message) {
	t.Helper()
	for len(messages) > 0 {
		n := min(len(messages), 500)
		if _, err := b.Append(t.Context(), stream, messages[:n]...); err != nil {
			t.Fatal(err)
		}
		messages = messages[n:]
	}
}

// newWriter returns a writer that logs errors to the test.
func newWriter(t testing.TB, o Options) *Writer {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.ID == "" {
		o.ID = "w1"
	}
	o.Partitions = bustest.Partitions
	if o.Logger == nil {
		o.Logger = quiet(t)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.volume.Abort(); err != nil {
			t.Errorf("remove what is staged: %v", err)
		}
	})
	return w
}

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel))
}

// run runs a writer until the returned function is called, which waits for its end.
func run(t *testing.T, w *Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	done := false
	stop = func() {
		cancel()
		if !done {
			done = true
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// messages reads the first n messages on a subject, waiting for them.
func messages(t *testing.T, b *bus.Bus, stream, subject string, n int) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := b.Read(ctx, bus.ReadOptions{Stream: stream, Subjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := make([]bus.Message, 0, n)
	for len(all) < n {
		m, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("%d of %d messages on %s: %v", len(all), n, subject, err)
		}
		all = append(all, m)
	}
	return all
}

// count returns how many messages on a subject the stream keeps now.
func count(t *testing.T, b *bus.Bus, stream, subject string) int {
	t.Helper()
	n := 0
	for from := uint64(1); ; n++ {
		place, err := b.Find(t.Context(), stream, subject, from)
		if err != nil {
			if errors.Is(err, bus.ErrNotFound) {
				return n
			}
			t.Fatal(err)
		}
		from = place.Sequence + 1
	}
}

// closedLog returns a bus whose connection has ended.
func closedLog(t *testing.T) *bus.Bus {
	t.Helper()
	b, stop, err := openLog(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stop()
	return b
}
