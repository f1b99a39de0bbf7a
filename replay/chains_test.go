package replay

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// live sends rounds of scrapes that arrive when they are stored. The first round is full.
func live(t testing.TB, b *bus.Bus, devices []*device, rounds int, full bool) {
	t.Helper()
	for r := range rounds {
		for _, d := range devices {
			d.send(t, b, time.Now().UnixMicro(), d.next(full && r == 0))
		}
	}
}

func devices(n int) (all []*device) {
	for i := range n {
		all = append(all, newDevice(fmt.Sprintf("h%d:1.j", i)))
	}
	return all
}

// from returns the files of scrapes with an epoch at a time or later.
func from(t testing.TB, all map[string]string, at time.Time) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for name, content := range all {
		epoch, err := strconv.ParseInt(strings.Split(name, string(filepath.Separator))[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if epoch >= at.UnixMicro() {
			out[name] = content
		}
	}
	return out
}

// trim removes the messages of a stream before a sequence.
func trim(t testing.TB, b *bus.Bus, stream string, before uint64) {
	t.Helper()
	first, _, err := b.Bounds(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for ; first < before; first++ {
		if err := b.Remove(t.Context(), stream, first); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMiddleOfChains begins in the middle of chains, with what the log may have kept of what comes before.
func TestMiddleOfChains(t *testing.T) {
	b := bustest.Open(t)
	all := devices(5)
	live(t, b, all, 12, true)
	quiet := newDevice("quiet:1.j") // long before the middle
	live(t, b, []*device{quiet}, 2, true)
	live(t, b, all, 30, false)
	middle := time.Now().Add(time.Microsecond)
	late := newDevice("late:1.j") // begins behind the middle
	live(t, b, append(all, quiet), 10, false)
	live(t, b, []*device{late}, 3, true)
	// One that resends what was before the middle.
	again := all[0].next(false)
	all[0].send(t, b, time.Now().UnixMicro(), again, again)
	assemble(t, b)
	whole := from(t, tree(t, replayTo(t, Options{Bus: b, Source: FromRaw})), middle)
	if len(whole) < 2*(6*10+3+1) {
		t.Fatalf("only %d files lie behind the middle", len(whole))
	}

	t.Run("states in SCRAPES", func(t *testing.T) {
		to := t.TempDir()
		r := mustRun(t, Options{Bus: b, Source: FromRaw, Since: middle, skew: time.Nanosecond, To: to})
		sameFiles(t, "since", whole, tree(t, to))
		if r.Messages > 80 || r.GoneTargets > 0 || len(r.Refused) > 0 || r.Duplicates != 1 {
			t.Errorf("report is %+v, want few messages and nothing gone", r)
		}
	})
	t.Run("the assembler was behind", func(t *testing.T) {
		// All of SCRAPES is stored after RAW here, so every state lies behind the place where the search begins. Now none does.
		c := &chains{bus: b, partitions: bustest.Partitions, span: span{First: 400, Cut: true}}
		var err error
		if _, c.last, err = b.Bounds(t.Context(), event.Scrapes); err != nil {
			t.Fatal(err)
		}
		for _, hint := range []uint64{1, 2, 77, 300, c.last, c.last + 1} {
			c.hint = hint
			for first := uint64(1); first < 330; first += 41 {
				c.span.First = first
				for _, d := range []*device{all[0], all[4], quiet, late} {
					checkState(t, b, c, d.target)
				}
			}
		}
	})
	t.Run("trimmed", func(t *testing.T) {
		place, err := b.Find(t.Context(), event.Raw, "zs.raw.>", 100)
		if err != nil {
			t.Fatal(err)
		}
		trim(t, b, event.Raw, place.Sequence)
		to := t.TempDir()
		mustRun(t, Options{Bus: b, Source: FromRaw, To: to})
		sameFiles(t, "with states from SCRAPES", whole, from(t, tree(t, to), middle))
		if n := len(tree(t, to)); n <= len(whole) {
			t.Errorf("%d files, want more than %d: all from the first message on", n, len(whole))
		}
		if r := mustRun(t, Options{Bus: b, Source: FromRaw, Verify: replayTo(t, Options{Bus: b, Source: FromScrapes})}); r.DifferenceCount() > 0 || r.Uncovered == 0 {
			t.Errorf("what is on disk from before the log is taken for a difference: %+v", r)
		}
	})
}

// checkState compares a search with a look at every message.
func checkState(t *testing.T, b *bus.Bus, c *chains, target scrape.Target) {
	t.Helper()
	var want *scrape.State
	o := bus.ReadOptions{Stream: event.Scrapes, Subjects: []string{event.ScrapeSubject(target, bustest.Partitions)}}
	err := b.Scan(t.Context(), o, func(m bus.Message) error {
		st, err := event.DecodeState(m.Data)
		if err == nil && st.Sequence < c.span.First {
			want = st
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.fromScrapes(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state of %s before message %d, from %d (-want +got):\n%s", target, c.span.First, c.hint, diff)
	}
}

// TestMiddleWithoutStates begins in the middle where SCRAPES has nothing: full blobs in RAW do, if they are there.
func TestMiddleWithoutStates(t *testing.T) {
	b := bustest.Open(t)
	all := devices(3)
	all[0].full = 0
	live(t, b, all[:1], 1, true)
	live(t, b, all[1:], 1, true)
	live(t, b, all, 10, false)
	middle := time.Now().Add(time.Microsecond)
	live(t, b, all, 10, false)
	live(t, b, all, 5, true)
	whole := tree(t, replayTo(t, Options{Bus: b, Source: FromRaw}))

	to := t.TempDir()
	r := mustRun(t, Options{Bus: b, Source: FromRaw, Since: middle, skew: time.Nanosecond, To: to})
	sameFiles(t, "from full blobs", from(t, whole, middle), tree(t, to))
	if r.GoneTargets > 0 || len(r.Refused) > 0 {
		t.Errorf("report is %+v, want nothing gone", r)
	}

	trim(t, b, event.Raw, 2) // the full blob of the first
	to = t.TempDir()
	r = mustRun(t, Options{Bus: b, Source: FromRaw, Since: middle, skew: time.Nanosecond, To: to})
	if diff := cmp.Diff([]scrape.Target{all[0].target}, r.Gone); diff != "" || r.GoneTargets != 1 {
		t.Errorf("%d gone (-want +got):\n%s", r.GoneTargets, diff)
	}
	if r.Refused[scrape.ReasonNoState] != 10 || r.Scrapes != 2*15+5 {
		t.Errorf("report is %+v, want 10 blobs refused and the others replayed", r)
	}
	if r := mustRun(t, Options{Bus: b, Source: FromRaw, Since: middle, skew: time.Nanosecond, Verify: to}); r.DifferenceCount() > 0 {
		t.Errorf("verify: %+v", r)
	}
}

// TestStatesInAFile keeps more states than memory may hold.
func TestStatesInAFile(t *testing.T) {
	s := newStates(1, t.TempDir())
	defer s.close()
	const n = 200
	target := func(i int) scrape.Target { return scrape.Target{Account: "a", Name: fmt.Sprint(i)} }
	state := func(i, round int) *scrape.State {
		return &scrape.State{Scrape: scrape.Scrape{Epoch: int64(i*1000 + round), Values: make([]float64, 500)}, Runs: []scrape.Run{{First: 1, Last: 2}}}
	}
	for round := range 5 {
		for i := range n {
			k, err := s.get(target(i))
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 && k != nil || round > 0 && (k == nil || k.state.Epoch != int64(i*1000+round-1) || k.partial != (i%2 == 0)) {
				t.Fatalf("round %d: what is kept of %d is %+v", round, i, k)
			}
			if err := s.put(target(i), state(i, round), i%2 == 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.used.Len() != 1 || s.filled == 0 {
		t.Errorf("%d states in memory, %d bytes in the file; want 1 and some", s.used.Len(), s.filled)
	}
	if err := s.renew(); err != nil || s.end != s.filled {
		t.Errorf("renewed: file has %d bytes, %d in use: %v", s.end, s.filled, err)
	}

	j, err := openJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	name, err := j.saveStates(7, []*shard{{states: s}})
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	err = j.loadStates(name, func(got scrape.Target, st *scrape.State, partial bool) error {
		read++
		k, err := s.get(got)
		if diff := cmp.Diff(k.state, st); diff != "" || partial != k.partial {
			t.Errorf("%s read back (-want +got):\n%s", got, diff)
		}
		return err
	})
	if err != nil || read != n {
		t.Errorf("%d of %d states read back: %v", read, n, err)
	}
}
