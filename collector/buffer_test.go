package collector

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
)

// down makes the server take nothing until the returned function is called.
func (w *world) down() (up func()) {
	w.server.set(func() { w.server.constant = answerStatus(503) })
	return func() { w.server.set(func() { w.server.constant = nil }) }
}

// files returns the names in a directory with a suffix, sorted.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	if left := files(t, dir, ""); len(left) > 0 {
		t.Errorf("the buffer still has %v", left)
	}
}

func TestBufferSurvivesARestart(t *testing.T) {
	for name, settings := range map[string]Options{
		"at the end":             {},
		"when the queue is full": {QueueBlobs: 3},
		"with small batches":     {QueueBlobs: 6, Batch: 2},
		"with little memory":     {QueueBytes: 300 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting, random(3), recorded(t, corpus.Node))
				w.options.BufferDir = t.TempDir()
				w.options.QueueBlobs, w.options.QueueBytes, w.options.Batch = settings.QueueBlobs, settings.QueueBytes, settings.Batch
				w.run(2 * time.Minute)
				up := w.down()
				w.run(20 * time.Minute)
				w.run(20 * time.Minute)
				w.checkMetrics(map[string]float64{"scrapes_total{refused}": 0})
				if len(files(t, w.options.BufferDir, bufferSuffix)) == 0 {
					t.Fatal("nothing is in the buffer")
				}
				up()
				w.run(10 * time.Minute)
				w.checkAll()
				checkEmpty(t, w.options.BufferDir)
				w.checkMetrics(map[string]float64{"buffer_files": 0, "buffer_bytes": 0, "queue_blobs": 0})
			})
		})
	}
}

// The outage ends while the collector runs.
func TestBufferEmptiesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, random(4))
		w.options.BufferDir = t.TempDir()
		w.options.QueueBlobs = 10
		stop := w.start()
		for range 3 {
			up := w.down()
			time.Sleep(30 * time.Minute)
			up()
			w.server.set(func() { w.server.faults = []fault{storeAndCut, forget, storeHalf, cut} })
			time.Sleep(5*time.Minute + aside)
		}
		stop()
		w.checkAll()
		checkEmpty(t, w.options.BufferDir)
		w.checkMetrics(map[string]float64{"scrapes_total{refused}": 0, "fulls_total{gap}": 0})
	})
}

// A collector that is killed loses what came in the last minute, and nothing before.
func TestBufferSurvivesAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.BufferDir = t.TempDir()
		w.run(time.Minute)
		up := w.down()
		stop := w.start()
		time.Sleep(10 * time.Minute)
		atKill := t.TempDir()
		if err := os.CopyFS(atKill, os.DirFS(w.options.BufferDir)); err != nil {
			t.Fatal(err)
		}
		_, killed := w.target(0).counts()
		stop()
		up()
		w.options.BufferDir = atKill
		w.options.Targets = []Target{{Job: "other", URL: "http://h0"}}
		w.run(time.Minute)
		arrived := len(w.server.rebuilt["h0:80.job"])
		if lost := killed - arrived; lost > 7 {
			t.Errorf("%d scrapes of %d are lost", lost, killed)
		}
		w.check("h0:80.job", w.target(0).said[:arrived])
		checkEmpty(t, atKill)
	})
}

func TestBufferIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.BufferDir = t.TempDir()
		w.options.BufferBytes = 20 << 10
		w.options.QueueBlobs = 4
		up := w.down()
		stop := w.start()
		time.Sleep(2 * time.Hour)
		size := int64(0)
		for _, path := range files(t, w.options.BufferDir, "") {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if size > w.options.BufferBytes || size < w.options.BufferBytes/2 {
			t.Errorf("the buffer has %d bytes of %d", size, w.options.BufferBytes)
		}
		up()
		time.Sleep(5*time.Minute + aside)
		stop()
		refused := int(w.metric("scrapes_total", "refused"))
		if refused == 0 {
			t.Error("no scrape was refused")
		}
		said := w.target(0).said
		got := w.server.rebuilt["h0:80.job"]
		if len(got) != len(said)-refused {
			t.Errorf("%d refused, and %d arrived of %d", refused, len(got), len(said))
		}
		checkEmpty(t, w.options.BufferDir)
	})
}

func TestCorruptFileIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		w := newWorld(t, counting)
		w.options.Logger = zap.New(core)
		w.options.BufferDir = t.TempDir()
		up := w.down()
		w.run(5 * time.Minute)
		first := len(w.target(0).said)
		w.run(5 * time.Minute)
		paths := files(t, w.options.BufferDir, bufferSuffix)
		damage(t, paths[0])
		if err := os.WriteFile(paths[0]+tempSuffix, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		up()
		w.run(5 * time.Minute)
		corrupt := files(t, w.options.BufferDir, "")
		if diff := cmp.Diff([]string{paths[0] + corruptSuffix}, corrupt); diff != "" {
			t.Errorf("the buffer has:\n%s", diff)
		}
		w.checkMetrics(map[string]float64{"dropped_total{corrupt_files}": 1})
		if logs.FilterMessageSnippet("can't be read").Len() != 1 {
			t.Error("that is not logged")
		}
		got := w.server.rebuilt["h0:80.job"]
		said := w.target(0).said
		w.check("h0:80.job", said[len(said)-len(got):])
		if len(got) < len(said)-first {
			t.Errorf("%d scrapes of %d arrived", len(got), len(said))
		}
	})
}

// damage flips a bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// blobs returns pending blobs of two targets, full and incremental.
func blobs(t testing.TB, n int) []*pending {
	var out []*pending
	makers := []*maker{newMaker(t, random(5)), newMaker(t, random(6))}
	for i := range n {
		p := makers[i%2].next()
		p.target = []string{"a", "b"}[i%2]
		p.order = int64(i)
		out = append(out, p)
	}
	return out
}

func TestEncodeBlobs(t *testing.T) {
	want := blobs(t, 60)
	want[3].full, want[3].why = true, reasonResend
	data, err := encodeBlobs(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeBlobs(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d blobs of %d", len(got), len(want))
	}
	for i, p := range want {
		if !samePending(got[i], p) {
			t.Errorf("blob %d has changed", i)
		}
	}
	if got[0].schema != got[2].schema && want[0].schema == want[2].schema {
		t.Error("blobs no longer share their schema")
	}
}

func samePending(a, b *pending) bool {
	return a.target == b.target && a.order == b.order && a.full == b.full && a.why == b.why && sameBlob(a.blob(), b.blob()) &&
		a.scrape.Equal(b.scrape) && a.schema.Hash() == b.schema.Hash()
}

func sameBlob(a, b *scrape.Blob) bool {
	same := func(x, y []float64) bool { return (&scrape.Scrape{Values: x}).Equal(&scrape.Scrape{Values: y}) }
	return a.Full() == b.Full() && a.Generation == b.Generation && a.Time == b.Time && a.Samples == b.Samples &&
		slices.Equal(a.Index, b.Index) && slices.Equal(a.Times, b.Times) && same(a.Values, b.Values)
}

// Whatever happens to a file, it is either read as it was or not at all.
func TestDecodeDamagedBlobs(t *testing.T) {
	want := blobs(t, 6)
	data, err := encodeBlobs(want)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if _, err := decodeBlobs(data[:i]); err == nil {
			t.Errorf("the first %d bytes of %d are read", i, len(data))
		}
	}
	noticed := 0
	for i := range data {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		if got, err := decodeBlobs(damaged); err != nil {
			noticed++
		} else if !slices.EqualFunc(got, want, samePending) {
			t.Errorf("damage at %d of %d gives other blobs", i, len(data))
		}
	}
	if noticed < len(data)-20 { // the time in gzip's header, and bits that fill a byte up, change nothing
		t.Errorf("damage is noticed at %d places of %d", noticed, len(data))
	}
}

func TestCheckPending(t *testing.T) {
	for name, spoil := range map[string]func(*pending){
		"no schema":     func(p *pending) { p.schema = nil },
		"no scrape":     func(p *pending) { p.scrape = nil },
		"no form":       func(p *pending) { p.delta, p.full = nil, false },
		"values":        func(p *pending) { p.scrape.Values = p.scrape.Values[1:] },
		"positions":     func(p *pending) { p.delta.Index = append(p.delta.Index, 1) },
		"stamp":         func(p *pending) { p.scrape.Stamps = []scrape.Stamp{{Index: 1000}} },
		"stamp below 0": func(p *pending) { p.scrape.Stamps = []scrape.Stamp{{Index: -1}} },
	} {
		m := newMaker(t, counting)
		m.next()
		p := m.next()
		if err := p.check(); err != nil {
			t.Fatal(err)
		}
		if spoil(p); p.check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A directory that can't be written to costs nothing but the buffer.
func TestBufferWithoutADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.BufferDir = filepath.Join(t.TempDir(), "buffer")
		w.options.QueueBlobs = 4
		up := w.down()
		stop := w.start()
		if err := os.Remove(w.options.BufferDir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		up()
		time.Sleep(5*time.Minute + aside)
		stop()
		got, said := w.server.rebuilt["h0:80.job"], w.target(0).said
		if lost := len(said) - len(got); lost == 0 || lost > 20 || float64(lost) != w.metric("scrapes_total", "refused") {
			t.Errorf("%d scrapes of %d are lost", lost, len(said))
		}
	})
}

// Files stay in order even if the clock is set back between two collectors.
func TestBufferOrderSurvivesTheClock(t *testing.T) {
	dir := t.TempDir()
	open := func() *queue {
		b, err := openBuffer(dir, 1<<20, 1<<20, newMetrics(), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return newQueue(queueOptions{blobs: 10, bytes: 1 << 20, batch: 10, buffer: b})
	}
	all := blobs(t, 4)
	for i, at := range []int64{2000, 1000, 3000, 1} {
		q := open()
		if !q.push(all[i], time.Unix(at, 0)) || q.keep(nil) != 0 {
			t.Fatal("a blob is not kept")
		}
	}
	q := open()
	for i := range all {
		got := q.take(1 << 20)
		if len(got) != 1 || got[0].scrape.Generation != all[i].scrape.Generation || got[0].target != all[i].target {
			t.Errorf("blob %d is not the one that was pushed", i)
		}
	}
}

func TestOpenBufferFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openBuffer(path, 1, 1, newMetrics(), zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
}

func TestWriteFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("x")); err == nil {
		t.Error("a file took the place of a directory")
	}
	if _, err := os.Stat(path + tempSuffix); !os.IsNotExist(err) {
		t.Errorf("the temporary file: %v", err)
	}
}
