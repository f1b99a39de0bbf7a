package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/volume"
	"github.com/zstats/zstats/test/eventually"
)

func TestRunWritesFilesAndEvents(t *testing.T) {
	for _, eachFile := range []bool{false, true} {
		t.Run(fmt.Sprintf("each file %v", eachFile), func(t *testing.T) {
			b := newLog(t, t.TempDir())
			inputs := node(t, 10, 4)
			inputs[3].target.Source = "cluster/1"
			inputs[4].target = scrape.Target{Account: "../acme", Name: "https://example.com/a/../b.blackbox"}
			feed(t, b, inputs)
			dir := t.TempDir()
			w := newWriter(t, Options{Bus: b, Dir: dir, Registerer: prometheus.NewRegistry(), eachFile: eachFile})
			if err := w.Ready(); err == nil {
				t.Error("Ready before Run")
			}
			stop := run(t, w)
			checkEvents(t, b, dir, inputs)
			eventually.Succeeds(t, "writer is ready", w.Ready)
			stop()
			checkTree(t, dir, inputs)
			checkCounts(t, w, map[string]float64{
				"scrapes": 40, "samples": 40 * 532, "repeats": 0, "looked up": 40,
			})
		})
	}
}

// checkCounts compares the counters that want names.
func checkCounts(t *testing.T, w *Writer, want map[string]float64) {
	t.Helper()
	m := w.metrics
	got := map[string]float64{
		"scrapes": testutil.ToFloat64(m.scrapes), "samples": testutil.ToFloat64(m.samples),
		"repeats": testutil.ToFloat64(m.repeats), "rebuilt": testutil.ToFloat64(m.schemas.Rebuilt),
		"looked up": testutil.ToFloat64(m.schemas.Hits) + testutil.ToFloat64(m.schemas.Misses),
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			delete(got, name)
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestSameBytes writes the same scrapes in other batches, with other numbers of renderers, and after other scrapes.
func TestSameBytes(t *testing.T) {
	b := newLog(t, t.TempDir())
	inputs := node(t, 5, 6)
	announce(t, b, inputs)
	variants := []struct {
		parallel, batch int
		cache           int64
		seed            uint64 // of the order
	}{{1, 30, 0, 0}, {4, 7, 0, 1}, {2, 1, 1, 2}}
	var first map[string]string
	for _, v := range variants {
		w := newWriter(t, Options{Bus: b, Dir: t.TempDir(), Parallel: v.parallel, CacheBytes: v.cache})
		batch := deliveries(t, inputs)
		if v.seed > 0 {
			rand.New(rand.NewPCG(v.seed, 0)).Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		}
		for part := range slices.Chunk(batch, v.batch) {
			if _, err := w.Process(t.Context(), part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.volume.Abort(); err != nil {
			t.Fatal(err)
		}
		got := tree(t, w.o.Dir)
		if first == nil {
			first = got
			checkTree(t, w.o.Dir, inputs)
		}
		if diff := gocmp.Diff(first, got); diff != "" {
			t.Errorf("%+v writes other files (-first +now):\n%s", v, diff)
		}
	}
}

func TestRepeatIsLeftAsItIs(t *testing.T) {
	b := newLog(t, t.TempDir())
	inputs := node(t, 3, 2)
	announce(t, b, inputs)
	batch := deliveries(t, inputs)
	w := newWriter(t, Options{Bus: b})
	first, err := w.Process(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(w.o.Dir, archive.ScrapePaths(inputs[0].target, inputs[0].state.Epoch).Dir)
	before, err := os.Stat(place)
	if err != nil {
		t.Fatal(err)
	}
	again := newWriter(t, Options{Bus: b, Dir: w.o.Dir})
	second, err := again.Process(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(first, second); diff != "" {
		t.Errorf("outputs (-first +second):\n%s", diff)
	}
	after, err := os.Stat(place)
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("%s was touched: %v", place, err)
	}
	checkCounts(t, again, map[string]float64{"scrapes": 0, "repeats": 6})
}

// TestRepeatIsRemoved removes, for its age, what a repeated batch has just found in its place. The batch fails, and the next
// try writes the scrape again: nobody was told of it yet.
func TestRepeatIsRemoved(t *testing.T) {
	b := newLog(t, t.TempDir())
	inputs := node(t, 2, 2)
	announce(t, b, inputs)
	batch := deliveries(t, inputs)
	dir := t.TempDir()
	first := newWriter(t, Options{Bus: b, Dir: dir})
	if _, err := first.Process(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	again := newWriter(t, Options{Bus: b, Dir: dir, hook: func(s volume.Step) error {
		if s == volume.Named {
			return os.RemoveAll(filepath.Join(dir, archive.ScrapePaths(inputs[0].target, inputs[0].state.Epoch).Dir))
		}
		return nil
	}})
	if _, err := again.Process(t.Context(), batch); err == nil {
		t.Error("the batch is done although a scrape of it is gone")
	}
	if n := count(t, b, event.Dead, event.DeadSubject(inputs[0].target)); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
	last := newWriter(t, Options{Bus: b, Dir: dir})
	outputs, err := last.Process(t.Context(), batch)
	if err != nil || len(outputs) != len(batch) {
		t.Fatalf("%d outputs, %v", len(outputs), err)
	}
	for _, in := range inputs {
		if err := checkScrape(os.DirFS(dir), in); err != nil {
			t.Errorf("%s, epoch %d: %v", in.target, in.state.Epoch, err)
		}
	}
	checkCounts(t, last, map[string]float64{"scrapes": 1, "repeats": 3})
}

func TestTakenPlaceIsADeadLetter(t *testing.T) {
	tests := []struct {
		name   string
		damage func(p archive.Paths) error // in the working directory
	}{
		{"another scrape", func(p archive.Paths) error {
			data, err := os.ReadFile(p.Metadata)
			if err != nil {
				return err
			}
			return os.WriteFile(p.Metadata, bytes.Replace(data, []byte(`"generation":1`), []byte(`"generation":7`), 1), 0o644)
		}},
		{"no metadata", func(p archive.Paths) error { return os.Remove(p.Metadata) }},
		{"no data", func(p archive.Paths) error { return os.Remove(p.Data) }},
		{"cut data", func(p archive.Paths) error { return os.Truncate(p.Data, 1000) }},
		{"metadata of something else", func(p archive.Paths) error { return os.WriteFile(p.Metadata, []byte("{}"), 0o644) }},
		{"empty directory", func(p archive.Paths) error { return errors.Join(os.Remove(p.Data), os.Remove(p.Metadata)) }},
		{"file instead of a directory", func(p archive.Paths) error {
			return errors.Join(os.RemoveAll(p.Dir), os.WriteFile(p.Dir, nil, 0o644))
		}},
		{"file instead of the target", func(p archive.Paths) error {
			return errors.Join(os.RemoveAll(filepath.Dir(p.Dir)), os.WriteFile(filepath.Dir(p.Dir), nil, 0o644))
		}},
	}
	b := newLog(t, t.TempDir())
	inputs := node(t, 2, 1)
	announce(t, b, inputs)
	batch := deliveries(t, inputs)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := newWriter(t, Options{Bus: b, Dir: dir}).Process(t.Context(), batch[:1]); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			if err := test.damage(archive.ScrapePaths(inputs[0].target, inputs[0].state.Epoch)); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			w := newWriter(t, Options{Bus: b, Dir: dir})
			outputs, err := w.Process(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if len(outputs) != 1 || outputs[0].Input != 1 {
				t.Errorf("outputs are %v, want one of the second delivery", outputs)
			}
			checkLastLetter(t, b, batch[0], reasonConflict)
			after := tree(t, dir)
			for name, content := range before {
				if !strings.HasPrefix(name, archive.TempDir) && after[name] != content {
					t.Errorf("%s was changed", name)
				}
			}
			if got := testutil.ToFloat64(w.metrics.deadLetters.WithLabelValues(string(reasonConflict))); got != 1 {
				t.Errorf("%v conflicts counted, want 1", got)
			}
		})
	}
}

// checkLastLetter checks the last message in DEAD.
func checkLastLetter(t *testing.T, b *bus.Bus, d bus.Delivery, want render.Reason) {
	t.Helper()
	target := scrape.Target{Account: d.Header[event.HeaderAccount], Source: d.Header[event.HeaderSource], Name: d.Header[event.HeaderTarget]}
	m, err := b.Last(t.Context(), event.Dead, event.DeadSubject(target))
	if err != nil {
		t.Fatal(err)
	}
	letter := new(eventpb.DeadLetter)
	if err := event.Unmarshal(m.Data, letter); err != nil {
		t.Fatal(err)
	}
	if letter.Reason != string(want) || letter.Detail == "" {
		t.Errorf("reason is %q (%s), want %q", letter.Reason, letter.Detail, want)
	}
	if !bytes.Equal(letter.Payload, d.Data) || !letter.Undecoded {
		t.Error("the dead letter does not hold the message")
	}
	if want == render.ReasonUndecodable || want == reasonIncomplete {
		return
	}
	state, err := event.DecodeState(d.Data)
	if err != nil {
		t.Fatal(err)
	}
	if letter.RawSequence != state.Sequence || letter.ReceivedUs != state.Received {
		t.Errorf("raw sequence and time are %d and %d, want %d and %d", letter.RawSequence, letter.ReceivedUs, state.Sequence, state.Received)
	}
}

func TestBadScrapesAreDeadLetters(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(in *input)
		wreck func(m *bus.Message)
		want  render.Reason
	}{
		{"no scrape", nil, func(m *bus.Message) { m.Data = []byte("x") }, render.ReasonUndecodable},
		{"no parts", nil, func(m *bus.Message) { m.Data, m.Broken = nil, bus.ErrBroken }, reasonIncomplete},
		{"no target", nil, func(m *bus.Message) { delete(m.Header, event.HeaderTarget) }, render.ReasonUndecodable},
		{"too few values", func(in *input) { in.state.Values = in.state.Values[1:] }, nil, render.ReasonMismatch},
		{"time of no sample", func(in *input) { in.state.Stamps = []scrape.Stamp{{Index: 532}} }, nil, render.ReasonMismatch},
		{"inferred value of no sample", func(in *input) { in.state.Inferred = []int32{3, 532} }, nil, render.ReasonMismatch},
		{"negative position", func(in *input) { in.state.Inferred = []int32{-1} }, nil, render.ReasonMismatch},
		{"unknown schema", func(in *input) { in.state.Schema[0]++ }, nil, render.ReasonNoSchema},
		{"unknown schema, no full blob", func(in *input) { in.state.Schema[0]++; in.state.FullSequence = 0 }, nil, render.ReasonNoSchema},
	}
	b := newLog(t, t.TempDir())
	inputs := node(t, 3, 1)
	announce(t, b, inputs)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad := inputs[1]
			if test.spoil != nil {
				test.spoil(&bad)
			}
			batch := deliveries(t, []input{inputs[0], bad, inputs[2]})
			if test.wreck != nil {
				test.wreck(&batch[1].Message)
			}
			w := newWriter(t, Options{Bus: b})
			outputs, err := w.Process(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if len(outputs) != 2 || outputs[0].Input != 0 || outputs[1].Input != 2 {
				t.Errorf("outputs are %v, want those of the first and the third delivery", outputs)
			}
			checkLastLetter(t, b, batch[1], test.want)
			if err := w.volume.Abort(); err != nil {
				t.Fatal(err)
			}
			checkTree(t, w.o.Dir, []input{inputs[0], inputs[2]})
		})
	}
}

func TestManyDeadLetters(t *testing.T) {
	b := newLog(t, t.TempDir())
	in := node(t, 1, 1)[0]
	in.state.Schema[0]++
	batch := make([]bus.Delivery, 3*lettersAtOnce/2)
	for i := range batch {
		batch[i] = in.delivery(t)
	}
	w := newWriter(t, Options{Bus: b})
	if outputs, err := w.Process(t.Context(), batch); err != nil || len(outputs) > 0 {
		t.Fatalf("Process: %v, %v", outputs, err)
	}
	if n := count(t, b, event.Dead, ">"); n != len(batch) {
		t.Errorf("%d dead letters, want %d", n, len(batch))
	}
}

func TestSchemaIsFoundInRaw(t *testing.T) {
	for _, name := range []string{"missing", "damaged", "another's"} {
		t.Run(name, func(t *testing.T) {
			b := newLog(t, t.TempDir())
			in := node(t, 2, 1)
			sequence := publishBlobs(t, b, in[0])
			in[0].state.FullSequence = sequence
			message := bus.Message{Subject: event.SchemaSubject(in[0].target.Account, in[0].state.Schema), Data: []byte("x")}
			switch name {
			case "damaged":
				appendAll(t, b, event.Schemas, []bus.Message{message})
			case "another's":
				var err error
				if message.Data, err = event.EncodeSchema(in[1].schema); err != nil {
					t.Fatal(err)
				}
				appendAll(t, b, event.Schemas, []bus.Message{message})
			}
			w := newWriter(t, Options{Bus: b})
			outputs, err := w.Process(t.Context(), deliveries(t, in[:1]))
			if err != nil || len(outputs) != 1 {
				t.Fatalf("Process: %v, %v; want one output", outputs, err)
			}
			checkCounts(t, w, map[string]float64{"scrapes": 1, "rebuilt": 1})
			if err := w.volume.Abort(); err != nil {
				t.Fatal(err)
			}
			checkTree(t, w.o.Dir, in[:1])
		})
	}
}

// publishBlobs publishes an incremental blob and the full blob of a scrape in one message of RAW.
func publishBlobs(t *testing.T, b *bus.Bus, in input) uint64 {
	t.Helper()
	full := &scrape.Blob{
		Generation: in.state.Generation, Time: in.state.Time, Samples: len(in.state.Values), Schema: in.schema,
		Values: in.state.Values, Times: make([]int64, len(in.state.Values)),
	}
	data, err := event.EncodeBlobs([]*scrape.Blob{{Generation: 1, Samples: 1}, full})
	if err != nil {
		t.Fatal(err)
	}
	subject := event.RawSubject(in.target, bustest.Partitions)
	sequences, err := b.Append(t.Context(), event.Raw, bus.Message{Subject: subject, Data: []byte("x")}, bus.Message{Subject: subject, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return sequences[1]
}

func TestLogFailureFailsTheBatch(t *testing.T) {
	w := newWriter(t, Options{Bus: closedLog(t)})
	outputs, err := w.Process(t.Context(), deliveries(t, node(t, 3, 1)))
	if err == nil || len(outputs) > 0 {
		t.Fatalf("Process: %v, %v; want an error", outputs, err)
	}
	if ready := w.Ready(); ready == nil || ready.Error() != err.Error() {
		t.Errorf("Ready: %v, want %v", ready, err)
	}
	if got := testutil.ToFloat64(w.metrics.errors.WithLabelValues(kindLog)); got != 1 {
		t.Errorf("%v errors of the log counted, want 1", got)
	}
	if got := tree(t, w.o.Dir); len(got) > 0 {
		t.Errorf("the batch has left %v", got)
	}
}

func TestCancelledBatchIsNoError(t *testing.T) {
	w := newWriter(t, Options{Bus: newLog(t, t.TempDir())})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Process(ctx, deliveries(t, node(t, 1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("Process: %v, want %v", err, context.Canceled)
	}
	for _, kind := range kinds() {
		if got := testutil.ToFloat64(w.metrics.errors.WithLabelValues(kind)); got != 0 {
			t.Errorf("%v errors of kind %s counted", got, kind)
		}
	}
}

// TestLargeScrape writes a scrape that travels in parts, as does its schema, between two small ones.
func TestLargeScrape(t *testing.T) {
	const series = 110_000
	b := newLog(t, t.TempDir())
	small := node(t, 2, 1)
	random := rand.New(rand.NewPCG(1, 2))
	large := input{target: scrape.Target{Account: "acme", Name: "large.job"}, schema: &scrape.Schema{Series: make([]scrape.Series, series)}}
	large.state = scrape.State{Scrape: scrape.Scrape{
		Generation: 1, Time: 1_600_000_000_000, Epoch: 1_600_000_000_000_000, Values: make([]float64, series), Inferred: []int32{1, 7},
		Stamps: []scrape.Stamp{{Index: 5, Time: 1_600_000_000_001}},
	}}
	for i := range series {
		large.schema.Series[i] = scrape.Series{Type: "gauge", Help: "Help.", Labels: []scrape.Label{
			{Name: scrape.MetricName, Value: fmt.Sprintf("metric_%d", i/1000)}, {Name: "id", Value: fmt.Sprint(i)}, {Name: "job", Value: "job"},
		}}
		large.state.Values[i] = math.Float64frombits(random.Uint64())
		if math.IsNaN(large.state.Values[i]) { // the text has one NaN only
			large.state.Values[i] = float64(i)
		}
	}
	large.state.Schema = large.schema.Hash()
	large.state.FullSequence = publishBlobs(t, b, large)
	inputs := []input{small[0], large, small[1]}
	announce(t, b, small)
	for _, in := range inputs {
		appendAll(t, b, event.Scrapes, []bus.Message{in.message(t)})
	}
	dir := t.TempDir()
	w := newWriter(t, Options{Bus: b, Dir: dir})
	stop := run(t, w)
	checkEvents(t, b, dir, inputs)
	stop()
	checkTree(t, dir, inputs)
}

func TestTwoWritersShareADirectory(t *testing.T) {
	b := newLog(t, t.TempDir())
	inputs := node(t, 12, 5)
	dir := t.TempDir()
	for _, id := range []string{"w1", "w2"} {
		run(t, newWriter(t, Options{Bus: b, Dir: dir, ID: id, Linger: time.Millisecond}))
	}
	feed(t, b, inputs)
	checkEvents(t, b, dir, inputs)
	for _, in := range inputs {
		if err := checkScrape(os.DirFS(dir), in); err != nil {
			t.Errorf("%s: %v", in.target, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	b := newLog(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	good := Options{Bus: b, Dir: t.TempDir(), Partitions: bustest.Partitions, ID: "w1"}
	tests := []struct {
		name   string
		change func(*Options)
	}{
		{"no bus", func(o *Options) { o.Bus = nil }},
		{"no directory", func(o *Options) { o.Dir = "" }},
		{"no partitions", func(o *Options) { o.Partitions = 0 }},
		{"no ID", func(o *Options) { o.ID = "" }},
		{"negative cache", func(o *Options) { o.CacheBytes = -1 }},
		{"negative reserve", func(o *Options) { o.Reserve = -1 }},
		{"negative parallelism", func(o *Options) { o.Parallel = -1 }},
		{"directory is a file", func(o *Options) { o.Dir = file }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := good
			test.change(&o)
			if w, err := New(o); err == nil {
				t.Errorf("New(%+v) = %v", o, w)
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Errorf("New: %v", err)
	}
}
