package retention

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

const h = time.Hour

func TestAge(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, target("acme", "a:1.j"), 5*h, 3*h, h)
	put(t, dir, target("acme", "gone:1.j"), 9*h, 8*h)
	put(t, dir, scrape.Target{Account: "acme", Source: "eu", Name: "a:1.j"}, 4*h, 2*h)
	put(t, dir, target("acme", strings.Repeat("long", 60)+":1.j"), 4*h, 2*h)
	put(t, dir, target("other", "a:1.j"), 9*h, h)
	long := archive.TargetDir(target("acme", strings.Repeat("long", 60)+":1.j"))
	r := newRetention(t, Options{
		Dir: dir, Limits: Limits{Age: 150 * time.Minute}, Accounts: map[string]Limits{"other": {}}, Registerer: prometheus.NewRegistry(),
	})
	for range 2 { // the second finds nothing to do
		turn(t, r)
		wantLeft(t, dir, "acme/a_1.j 1h0m0s", "acme/gone_1.j 8h0m0s", "acme/@eu/a_1.j 2h0m0s", long+" 2h0m0s", "other/a_1.j 9h0m0s", "other/a_1.j 1h0m0s")
		if got := testutil.ToFloat64(r.metrics.removed.WithLabelValues("acme", byAge)); got != 5 {
			t.Errorf("%v scrapes are counted, want 5", got)
		}
		if got := testutil.ToFloat64(r.metrics.oldest.WithLabelValues("acme")); got != float64(ago(8*h))/1e6 {
			t.Errorf("the oldest is said to be of %v", got)
		}
	}
	r.close()
	noLeftovers(t, dir)
}

func TestBytes(t *testing.T) {
	dir := t.TempDir()
	a, b := target("acme", "a:1.j"), target("acme", "b:1.j")
	put(t, dir, a, 6*h, 4*h, 2*h)
	put(t, dir, b, 5*h, 3*h, h)
	put(t, dir, target("other", "a:1.j"), 9*h, h)
	one := onDiskOf(t, dir, a, 6*h)
	r := newRetention(t, Options{Dir: dir, Accounts: map[string]Limits{"acme": {Bytes: 4 * one}}})
	turn(t, r)
	wantLeft(t, dir, "acme/a_1.j 4h0m0s", "acme/a_1.j 2h0m0s", "acme/b_1.j 3h0m0s", "acme/b_1.j 1h0m0s", "other/a_1.j 9h0m0s", "other/a_1.j 1h0m0s")
	if got := testutil.ToFloat64(r.metrics.kept.WithLabelValues("acme")); got != float64(4*one) {
		t.Errorf("%v bytes are said to be kept, want %d", got, 4*one)
	}
	if got := testutil.ToFloat64(r.metrics.bytes.WithLabelValues("acme")); got != float64(2*one) {
		t.Errorf("%v bytes are said to be removed, want %d", got, 2*one)
	}
	put(t, dir, a, time.Minute) // the next one comes
	turn(t, r)
	wantLeft(t, dir, "acme/a_1.j 2h0m0s", "acme/a_1.j 1m0s", "acme/b_1.j 3h0m0s", "acme/b_1.j 1h0m0s", "other/a_1.j 9h0m0s", "other/a_1.j 1h0m0s")
	// Even a limit that nothing meets leaves the newest of each target.
	r.o.Accounts["acme"] = Limits{Bytes: 1}
	turn(t, r)
	wantLeft(t, dir, "acme/a_1.j 1m0s", "acme/b_1.j 1h0m0s", "other/a_1.j 9h0m0s", "other/a_1.j 1h0m0s")
}

// TestGrace keeps what was put on disk just now, however old it is.
func TestGrace(t *testing.T) {
	dir := t.TempDir()
	a := target("acme", "a:1.j")
	put(t, dir, a, 6*h, 5*h, 4*h, h)
	touch(t, dir, a, 5*h, time.Minute)
	r := newRetention(t, Options{Dir: dir, Limits: Limits{Age: 2 * h}, Grace: 10 * time.Minute})
	turn(t, r)
	wantLeft(t, dir, "acme/a_1.j 5h0m0s", "acme/a_1.j 1h0m0s")
	if got := testutil.ToFloat64(r.metrics.held.WithLabelValues("acme")); got != 1 {
		t.Errorf("%v scrapes are said to be held, want 1", got)
	}
	touch(t, dir, a, 5*h, 11*time.Minute)
	turn(t, r)
	wantLeft(t, dir, "acme/a_1.j 1h0m0s")
}

// unackedFrom are positions that have not acknowledged a target from a scrape on.
func unackedFrom(held scrape.Target, age time.Duration) Positions {
	return func(context.Context) (func(context.Context, scrape.Target) (Acked, error), error) {
		return func(_ context.Context, t scrape.Target) (Acked, error) {
			return func(epoch int64, _ time.Time) bool { return t != held || epoch < ago(age) }, nil
		}, nil
	}
}

// TestPositions keeps what a position has not acknowledged, and counts it as if it were gone: nothing younger goes instead.
func TestPositions(t *testing.T) {
	a, b := target("acme", "a:1.j"), target("acme", "b:1.j")
	ages := []time.Duration{6 * h, 5 * h, 4 * h, 3 * h, h}
	t.Run("by age", func(t *testing.T) {
		dir := t.TempDir()
		put(t, dir, a, ages...)
		put(t, dir, b, ages...)
		r := newRetention(t, Options{Dir: dir, Limits: Limits{Age: 210 * time.Minute}, Positions: unackedFrom(a, 5*h)})
		turn(t, r)
		wantLeft(t, dir, "acme/a_1.j 5h0m0s", "acme/a_1.j 4h0m0s", "acme/a_1.j 3h0m0s", "acme/a_1.j 1h0m0s", "acme/b_1.j 3h0m0s", "acme/b_1.j 1h0m0s")
	})
	t.Run("by bytes", func(t *testing.T) {
		dir := t.TempDir()
		put(t, dir, a, ages...)
		put(t, dir, b, ages...)
		one := onDiskOf(t, dir, a, 6*h)
		r := newRetention(t, Options{Dir: dir, Limits: Limits{Bytes: 4 * one}, Positions: unackedFrom(a, 5*h)})
		turn(t, r)
		wantLeft(t, dir, "acme/a_1.j 5h0m0s", "acme/a_1.j 4h0m0s", "acme/a_1.j 3h0m0s", "acme/a_1.j 1h0m0s", "acme/b_1.j 3h0m0s", "acme/b_1.j 1h0m0s")
		if got := testutil.ToFloat64(r.metrics.kept.WithLabelValues("acme")); got != float64(6*one) {
			t.Errorf("%v bytes are said to be kept, want %d", got, 6*one)
		}
	})
	t.Run("not known", func(t *testing.T) {
		dir := t.TempDir()
		put(t, dir, a, ages...)
		broken := errors.New("the log does not answer")
		r := newRetention(t, Options{Dir: dir, Limits: Limits{Age: 2 * h}, Positions: func(context.Context) (func(context.Context, scrape.Target) (Acked, error), error) {
			return func(context.Context, scrape.Target) (Acked, error) { return nil, broken }, nil
		}})
		if err := r.turn(t.Context()); !errors.Is(err, broken) {
			t.Errorf("turn: %v, want %v", err, broken)
		}
		if n := len(left(t, dir)); n != len(ages) {
			t.Errorf("%d scrapes are left, want all", n)
		}
	})
}

// TestForeign leaves alone what no zstats has written as a whole.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	a := target("acme", "a:1.j")
	put(t, dir, a, 6*h, 5*h, h)
	half := archive.ScrapePaths(a, ago(6*h))
	if err := os.Remove(filepath.Join(dir, half.Data)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme/notes/readme", "acme/a_1.j/notes/readme", "@strange/b/1/1.json", ".hidden/1/1/1.json"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	turn(t, newRetention(t, Options{Dir: dir, Limits: Limits{Age: time.Minute}}))
	for _, name := range []string{half.Metadata, "acme/notes/readme", "acme/a_1.j/notes/readme", "@strange/b/1/1.json", ".hidden/1/1/1.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, archive.ScrapePaths(a, ago(5*h)).Dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the whole old scrape: %v, want it gone", err)
	}
}

// TestOneAtATime runs two on one directory: the second works only when the first has ended.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	a := target("acme", "a:1.j")
	put(t, dir, a, 6*h, h)
	o := Options{Dir: dir, Limits: Limits{Age: 2 * h}, Interval: time.Millisecond}
	first, second := newRetention(t, o), newRetention(t, o)
	turn(t, first)
	put(t, dir, a, 5*h)
	turn(t, second)
	wantLeft(t, dir, "acme/a_1.j 5h0m0s", "acme/a_1.j 1h0m0s")
	first.close()
	first.lock = nil

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	eventually.Succeeds(t, "the second removes what the first would have", func() error {
		if have := left(t, dir); len(have) != 1 {
			return fmt.Errorf("left: %q", have)
		}
		return nil
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	noLeftovers(t, dir)
}

// TestTwoAtOnce removes the same with several that don't share their locks, beside one that puts new scrapes there.
func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	var want []string
	targets := []scrape.Target{target("acme", "a:1.j"), target("acme", "b:1.j"), target("acme", "c:1.j"), target("acme", "d:1.j")}
	for _, tg := range targets {
		for age := range 100 {
			put(t, dir, tg, time.Duration(age+1)*h)
		}
		for age := range 51 {
			want = append(want, archive.TargetDir(tg)+" "+(time.Duration(age)*h).String())
		}
	}
	one := onDiskOf(t, dir, targets[0], h)
	var all []*Retention
	for range 3 {
		all = append(all, newRetention(t, Options{Dir: dir, Limits: Limits{Age: 70 * h, Bytes: int64(len(want)) * one}, shared: true}))
	}
	for _, tg := range targets {
		put(t, dir, tg, 0) // before the passes, so that all of them agree on the sum
	}
	var running sync.WaitGroup
	for _, r := range all {
		running.Go(func() {
			if err := r.turn(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	wantLeft(t, dir, want...)
	for _, r := range all {
		r.close()
	}
	noLeftovers(t, dir)
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no directory": {}, "age": {Dir: t.TempDir(), Limits: Limits{Age: -1}}, "grace": {Dir: t.TempDir(), Grace: -1},
		"account": {Dir: t.TempDir(), Accounts: map[string]Limits{"a": {Bytes: -1}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if o := (Options{Accounts: map[string]Limits{"a": {}}}); !o.Off() {
		t.Error("no limits: not off")
	}
	if o := (Options{Accounts: map[string]Limits{"a": {Age: 1}}}); o.Off() {
		t.Error("a limit of one account: off")
	}
}
