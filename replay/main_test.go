package replay

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begun is when the scrapes of tests begin, in microseconds since the Unix epoch.
func begun() int64 { return time.Now().Add(-time.Minute).UnixMicro() }

// device is a target and what is known of it on the way.
type device struct {
	target     scrape.Target
	schema     *scrape.Schema
	values     []float64
	generation int64
	full       uint64 // sequence in RAW of its last full blob, 0 before the first
	run        int64
}

func newDevice(name string) *device {
	d := &device{target: scrape.Target{Account: "acme", Name: name}, values: []float64{0, 0, 0}, generation: 100, run: 100}
	d.schema = new(scrape.Schema)
	for i := range d.values {
		d.schema.Series = append(d.schema.Series, scrape.Series{Type: "counter", Labels: []scrape.Label{
			{Name: scrape.MetricName, Value: "m" + strconv.Itoa(i)}, {Name: "instance", Value: name},
		}})
	}
	return d
}

func (d *device) next(full bool) *scrape.Blob {
	d.generation++
	b := &scrape.Blob{Generation: d.generation, Time: d.generation * 1000, Samples: len(d.values)}
	if full {
		for i := range d.values {
			d.values[i] += float64(i + 1)
			b.Times = append(b.Times, b.Time)
		}
		b.Schema, b.Values = d.schema, slices.Clone(d.values)
		return b
	}
	b.Index, b.Values, b.Times = []int32{1}, []float64{2}, []int64{1000}
	d.values[1] += 2
	return b
}

// raw returns the message of blobs that arrived at a time. Its head is ingest's.
func (d *device) raw(t testing.TB, received int64, blobs ...*scrape.Blob) bus.Message {
	t.Helper()
	data, err := event.EncodeBlobs(blobs)
	if err != nil {
		t.Fatal(err)
	}
	last := blobs[len(blobs)-1]
	head := event.Head{Received: received, Run: scrape.Run{First: d.run + 1, Last: last.Generation}, Samples: last.Samples, FullSequence: d.full}
	if slices.ContainsFunc(blobs, (*scrape.Blob).Full) {
		head.FullSequence = 0
	}
	h := event.TargetHeader(d.target)
	head.Set(h)
	return bus.Message{Subject: event.RawSubject(d.target, bustest.Partitions), Header: h, Data: data}
}

// send appends a message of blobs to RAW and returns its sequence.
func (d *device) send(t testing.TB, b *bus.Bus, received int64, blobs ...*scrape.Blob) uint64 {
	t.Helper()
	m := d.raw(t, received, blobs...)
	sequences, err := b.Append(t.Context(), event.Raw, m)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header[event.HeaderFull] == "0" {
		d.full = sequences[0]
	}
	return sequences[0]
}

// replayTo replays a whole log into a new directory and returns it.
func replayTo(t testing.TB, o Options) string {
	t.Helper()
	if o.To == "" {
		o.To = t.TempDir()
	}
	mustRun(t, o)
	return o.To
}

func mustRun(t testing.TB, o Options) Report {
	t.Helper()
	report, err := runOnce(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func runOnce(ctx context.Context, o Options) (Report, error) {
	r, err := New(o)
	if err != nil {
		return Report{}, err
	}
	return r.Run(ctx)
}

// tree returns the contents of all files below dir, but what a replay keeps for itself.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			if d.Name() == Dir || d.Name() == ".tmp" {
				return fs.SkipDir
			}
			return nil
		}
		data, err := os.ReadFile(path)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameTree checks that two directories hold the same files.
func sameTree(t testing.TB, what, want, got string) {
	t.Helper()
	w := tree(t, want)
	if len(w) == 0 {
		t.Fatalf("%s: there is nothing to compare with", what)
	}
	sameFiles(t, what, w, tree(t, got))
}

// sameFiles shows only the first difference: the contents of files are long.
func sameFiles(t testing.TB, what string, want, got map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s differs or is missing: %q, want %q; %d files, want %d", what, name, got[name], want[name], len(got), len(want))
			return
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: there is %s, which should not be; %d files, want %d", what, name, len(got), len(want))
			return
		}
	}
}

// epochs returns the epochs of a device's scrapes in a directory, with the text of each one's json.
func epochs(t testing.TB, dir string) map[int64]string {
	t.Helper()
	out := make(map[int64]string)
	for name, text := range tree(t, dir) {
		if base, ok := strings.CutSuffix(filepath.Base(name), ".json"); ok {
			epoch, err := strconv.ParseInt(base, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			out[epoch] = text
		}
	}
	return out
}

// publish appends states to SCRAPES, as the assembler does.
func publish(t testing.TB, b *bus.Bus, target scrape.Target, states ...*scrape.State) {
	t.Helper()
	for _, st := range states {
		data, err := event.EncodeState(st)
		if err != nil {
			t.Fatal(err)
		}
		m := bus.Message{Subject: event.ScrapeSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data}
		if _, err := b.Append(t.Context(), event.Scrapes, m); err != nil {
			t.Fatal(err)
		}
	}
}

// announce appends a schema to SCHEMAS, as the assembler does.
func announce(t testing.TB, b *bus.Bus, account string, schema *scrape.Schema) {
	t.Helper()
	data, err := event.EncodeSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), event.Schemas, bus.Message{Subject: event.SchemaSubject(account, schema.Hash()), Data: data}); err != nil {
		t.Fatal(err)
	}
}

var errKilled = errors.New("killed")
