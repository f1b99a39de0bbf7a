package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

const step = 1_000_000 // between two scrapes, microseconds

// fill sends rounds of scrapes of some targets: chains with repetitions, gaps, a clock that goes back, and what can't be folded.
func fill(t testing.TB, b *bus.Bus, start int64, targets, rounds int) []*device {
	t.Helper()
	var all []*device
	for i := range targets {
		all = append(all, newDevice(fmt.Sprintf("h%d:1.j", i)))
	}
	for r := range rounds {
		for i, d := range all {
			at := start + int64(r)*step + int64(i)
			blob := d.next(r == 0 || r == 20 && i%3 == 0)
			d.send(t, b, at, blob)
			switch {
			case r == 7 && i == 1:
				d.send(t, b, at, blob) // again
			case r == 9 && i == 2:
				d.send(t, b, at-2*step, d.next(false), d.next(false)) // by a clock that was set back
			case r == 11 && i == 3:
				d.generation += 5 // lost for good
			}
		}
	}
	poisonous := event.TargetHeader(all[0].target)
	if _, err := b.Append(t.Context(), event.Raw, bus.Message{Subject: event.RawSubject(all[0].target, bustest.Partitions), Header: poisonous, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	return all
}

// assemble does to RAW what the assembler does.
func assemble(t testing.TB, b *bus.Bus) {
	t.Helper()
	known := make(map[scrape.Target]*scrape.State)
	err := b.Scan(t.Context(), bus.ReadOptions{Stream: event.Raw, Subjects: []string{"zs.raw.>"}}, func(m bus.Message) error {
		target, err := fold.Owner(m.Header, m.Subject, bustest.Partitions)
		if err != nil {
			return err
		}
		decoded, err := fold.Decode(m.Header, m.Sequence, m.Data)
		if err != nil {
			return nil
		}
		r, err := fold.Apply(known[target], decoded, false, nil)
		if err != nil {
			return err
		}
		for _, a := range r.Accepted {
			if a.Schema != nil {
				announce(t, b, target.Account, a.Schema)
			}
			publish(t, b, target, a.State)
		}
		known[target] = r.State
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBothSourcesGiveTheSame(t *testing.T) {
	b := bustest.Open(t)
	fill(t, b, begun(), 6, 30)
	assemble(t, b)
	raw, scrapes := t.TempDir(), t.TempDir()
	report := mustRun(t, Options{Bus: b, Source: FromRaw, To: raw, GroupMessages: 7, Parallel: 3, StateBytes: 1})
	mustRun(t, Options{Bus: b, Source: FromScrapes, To: scrapes, GroupMessages: 64})
	sameTree(t, "from SCRAPES", raw, scrapes)
	// Device 3 loses its chain in round 11, until round 20 brings a full blob.
	want := Report{
		Messages: 6*30 + 3, Scrapes: 6*30 + 2 - 8, Samples: 3 * (6*30 + 2 - 8), Written: 6*30 + 2 - 8, Duplicates: 1,
		Refused: map[string]int64{scrape.ReasonGap: 8, fold.ReasonUndecodable: 1},
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for _, from := range []Source{FromRaw, FromScrapes} {
		if r := mustRun(t, Options{Bus: b, Source: from, Verify: raw}); r.DifferenceCount() != 0 || r.Same != want.Scrapes {
			t.Errorf("verify from %s: %+v", from, r)
		}
	}
}

// TestSelection replays parts and compares them with the whole.
func TestSelection(t *testing.T) {
	b := bustest.Open(t)
	start := begun()
	fill(t, b, start, 6, 30)
	other := newDevice("h1:1.j")
	other.target.Account = "other"
	other.send(t, b, start, other.next(true))
	assemble(t, b)
	whole := tree(t, replayTo(t, Options{Bus: b, Source: FromRaw}))
	since, until := start+9*step, start+21*step
	tests := []struct {
		name string
		o    Options
		want func(account, target string, epoch int64) bool
	}{
		{"since", Options{Since: time.UnixMicro(since)}, func(_, _ string, e int64) bool { return e >= since }},
		{"until", Options{Until: time.UnixMicro(until)}, func(_, _ string, e int64) bool { return e <= until }},
		{"both", Options{Since: time.UnixMicro(since), Until: time.UnixMicro(until)}, func(_, _ string, e int64) bool { return since <= e && e <= until }},
		{"account", Options{Account: "acme"}, func(a, _ string, _ int64) bool { return a == "acme" }},
		{"target", Options{Target: "h[1"}, func(string, string, int64) bool { return false }},
		{"targets", Options{Target: "h?:1.*", Account: "other"}, func(a, _ string, _ int64) bool { return a == "other" }},
		{"one target", Options{Target: "h2:*"}, func(_, n string, _ int64) bool { return n == "h2_1.j" }},
	}
	for _, tt := range tests {
		for _, from := range []Source{FromRaw, FromScrapes} {
			t.Run(tt.name+" from "+string(from), func(t *testing.T) {
				o := tt.o
				o.Bus, o.Source = b, from
				want := make(map[string]string)
				for name, content := range whole {
					parts := strings.Split(name, string(filepath.Separator))
					var epoch int64
					if _, err := fmt.Sscan(parts[2], &epoch); err != nil {
						t.Fatal(err)
					}
					if tt.want(parts[0], parts[1], epoch) {
						want[name] = content
					}
				}
				sameFiles(t, tt.name, want, tree(t, replayTo(t, o)))
			})
		}
	}
}

// TestInterruptedAnywhere ends a replay after each group, in one way or the other, and goes on.
func TestInterruptedAnywhere(t *testing.T) {
	b := bustest.Open(t)
	fill(t, b, begun(), 4, 25)
	assemble(t, b)
	want := replayTo(t, Options{Bus: b, Source: FromRaw})
	for _, from := range []Source{FromRaw, FromScrapes} {
		for _, every := range []time.Duration{time.Nanosecond, time.Hour} {
			t.Run(fmt.Sprintf("%s, checkpoints every %s", from, every), func(t *testing.T) {
				to := t.TempDir()
				o := Options{Bus: b, Source: from, To: to, GroupMessages: 10, CheckpointEvery: every, Parallel: 2, StateBytes: 1}
				rounds := 0
				for ; ; rounds++ {
					r, err := New(o)
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(t.Context())
					r.wrapSink = func(s sink) sink { return &stopping{sink: s, cancel: cancel, fail: rounds%2 == 0, left: 3} }
					_, err = r.Run(ctx)
					cancel()
					if err == nil {
						break
					}
					if !errors.Is(err, ErrInterrupted) && !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					if rounds == 100 {
						t.Fatal("it does not get to the end")
					}
				}
				if rounds < 2 {
					t.Errorf("it was interrupted %d times only", rounds)
				}
				sameTree(t, "after all", want, to)
				if again := mustRun(t, o); again.Scrapes == 0 || !again.Finished {
					t.Error("once finished, it does not report what it has done")
				}
			})
		}
	}
}

// stopping is a sink that interrupts a replay after some groups, or fails in the middle of settling one, as a crash would.
type stopping struct {
	sink
	cancel func()
	fail   bool
	left   int
}

func (s *stopping) settle(all []*one, report *Report) error {
	s.left--
	if s.left > 0 {
		return s.sink.settle(all, report)
	}
	if s.fail {
		_ = s.sink.settle(all[:len(all)/2], report)
		return errKilled
	}
	s.cancel()
	return s.sink.settle(all, report)
}

func TestRefusesWhatIsNotItsOwn(t *testing.T) {
	b := bustest.Open(t)
	fill(t, b, begun(), 2, 3)
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "notes"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := runOnce(t.Context(), Options{Bus: b, Source: FromRaw, To: taken}); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a directory with a file: %v, want %v", err, ErrNotEmpty)
	}
	if names := tree(t, taken); len(names) != 1 {
		t.Errorf("it has become %v", names)
	}

	done := replayTo(t, Options{Bus: b, Source: FromRaw})
	if _, err := runOnce(t.Context(), Options{Bus: b, Source: FromRaw, Account: "acme", To: done}); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("the directory of another replay: %v, want %v", err, ErrNotEmpty)
	}

	half := t.TempDir()
	r, err := New(Options{Bus: b, Source: FromRaw, To: half, GroupMessages: 2})
	if err != nil {
		t.Fatal(err)
	}
	r.wrapSink = func(s sink) sink { return &stopping{sink: s, fail: true, left: 1} }
	if _, err := r.Run(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if _, err := runOnce(t.Context(), Options{Bus: b, Source: FromRaw, Account: "acme", To: half}); !errors.Is(err, ErrOther) {
		t.Errorf("the directory of another replay that was not finished: %v, want %v", err, ErrOther)
	}
	other := bustest.Open(t)
	fill(t, other, begun(), 2, 3)
	if _, err := runOnce(t.Context(), Options{Bus: other, Source: FromRaw, To: half}); err == nil || !strings.Contains(err.Error(), "not the log") {
		t.Errorf("another log: %v", err)
	}
	j, err := openJournal(half)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if _, err := runOnce(t.Context(), Options{Bus: b, Source: FromRaw, To: half}); !errors.Is(err, errBusy) {
		t.Errorf("a second replay at once: %v, want %v", err, errBusy)
	}
}

// TestOverwrite replays into a directory of files, some of which are damaged, and some are missing.
func TestOverwrite(t *testing.T) {
	b := bustest.Open(t)
	devices := fill(t, b, begun(), 3, 5)
	assemble(t, b)
	want, dir := replayTo(t, Options{Bus: b, Source: FromRaw}), replayTo(t, Options{Bus: b, Source: FromScrapes})
	all := slices.Sorted(maps.Keys(epochs(t, dir)))
	paths := archive.ScrapePaths(devices[0].target, all[0])
	for name, content := range map[string]string{paths.Data: "no gzip", paths.Metadata: "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, archive.ScrapePaths(devices[1].target, all[1]).Dir)); err != nil {
		t.Fatal(err)
	}
	report := mustRun(t, Options{Bus: b, Source: FromRaw, To: dir, Overwrite: true})
	sameTree(t, "overwritten", want, dir)
	if report.Replaced != 1 || report.Written != 2 || report.Same != report.Scrapes-2 {
		t.Errorf("report is %+v, want 1 replaced, 1 that was missing, and the others the same", report)
	}
	left, err := os.ReadDir(filepath.Join(dir, archive.TempDir))
	if err != nil || len(left) > 0 {
		t.Errorf("leftovers: %v, %v", left, err)
	}
}

// TestRequeued: scrapes of requeued letters count as scrapes, also where they lie among others; what came first has the place.
func TestRequeued(t *testing.T) {
	b := bustest.Open(t)
	d := newDevice("h:1.j")
	st, _ := (*scrape.State)(nil).Apply(d.next(true), scrape.Arrival{Received: begun(), Sequence: 1})
	d.send(t, b, begun(), d.next(true)) // so that the schema is found
	publish(t, b, d.target, st)
	late, _ := (*scrape.State)(nil).Apply(d.next(true), scrape.Arrival{Received: begun() - step, Sequence: 1})
	clash := *late
	clash.Epoch = st.Epoch
	for i, state := range []*scrape.State{late, &clash} {
		data, err := event.EncodeState(state)
		if err != nil {
			t.Fatal(err)
		}
		m := bus.Message{Subject: event.RequeuedSubject(d.target, bustest.Partitions, "letter", i), Header: event.TargetHeader(d.target), Data: data}
		if _, err := b.Append(t.Context(), event.Scrapes, m); err != nil {
			t.Fatal(err)
		}
	}
	to := t.TempDir()
	report := mustRun(t, Options{Bus: b, Source: FromScrapes, To: to})
	if report.Written != 2 || report.Conflicts != 1 {
		t.Errorf("report is %+v, want 2 written and 1 conflict", report)
	}
	first := tree(t, to)
	report = mustRun(t, Options{Bus: b, Source: FromScrapes, To: to, Overwrite: true})
	if report.Same != 2 || report.Conflicts != 1 {
		t.Errorf("once more, overwriting: report is %+v, want 2 the same and 1 conflict", report)
	}
	sameFiles(t, "overwritten", first, tree(t, to))
}
