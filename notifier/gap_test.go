package notifier

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// trim removes all events, up to a checkpoint that it writes, with the log's own trimmer. It returns the checkpoint's
// sequence, which is the first that is kept.
func trim(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	m := checkpoint(0)
	var err error
	if m.Data, err = event.Marshal(&eventpb.Checkpoint{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	keep := appendAll(t, b, m)[0]
	trimmer, err := bus.NewTrimmer(bus.TrimmerOptions{
		Bus: b, Partitions: bustest.Partitions, Every: time.Millisecond,
		Rules: []bus.TrimRule{{Stream: event.Events, HeldAge: time.Nanosecond, Writer: event.StageWriter}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- trimmer.Run(ctx) }()
	until(t, "the stream is trimmed", func() bool {
		first, _, err := b.Bounds(t.Context(), event.Events)
		return err == nil && first == keep
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return keep
}

func wantGap(t *testing.T, s stream, first, last uint64) {
	t.Helper()
	g := receive(t, s).GetGap()
	if g.GetFirstSequence() != first || g.GetLastSequence() != last {
		t.Errorf("got gap %v, want %d to %d", g, first, last)
	}
}

func TestGapAtTheStart(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	a := target("acme", "a.j")
	publish(t, b, repeat(a, 10)...)
	if keep := trim(t, b); keep != 11 {
		t.Fatalf("first kept is %d", keep)
	}
	publish(t, b, repeat(a, 2)...) // 12 and 13
	place, err := b.Find(t.Context(), event.Events, ">", 13)
	if err != nil {
		t.Fatal(err)
	}
	for _, c2 := range []struct {
		name string
		r    *eventpb.SubscribeRequest
		gap  uint64 // its first sequence, 0 if there is none
		want []uint64
	}{
		{"from the first", from(1), 1, []uint64{12, 13}},
		{"from one that is gone", from(10), 10, []uint64{12, 13}},
		{"from the first kept", from(11), 0, []uint64{12, 13}},
		{"from what is kept", from(0), 0, []uint64{12, 13}},
		{"since ever", since(time.UnixMicro(1)), 1, []uint64{12, 13}},
		{"since a time that is kept", since(place.Stored), 0, []uint64{13}},
	} {
		t.Run(c2.name, func(t *testing.T) {
			s, _ := subscribe(t, c, c2.r)
			if c2.gap > 0 {
				wantGap(t, s, c2.gap, 10)
			}
			if diff := cmp.Diff(c2.want, sequences(t, s, len(c2.want))); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGapInAnEmptyStream(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	a := target("acme", "a.j")
	publish(t, b, repeat(a, 3)...)
	keep := trim(t, b)
	s, _ := subscribe(t, c, from(2))
	wantGap(t, s, 2, keep-1)
	want := publish(t, b, a)[0]
	if got := nextEvent(t, s).GetSequence(); got != want {
		t.Errorf("got event %d, want %d", got, want)
	}
}

// A quiet subscription is not told of a gap when only what it doesn't want is removed.
func TestNoGapForTheQuiet(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	s, _ := subscribe(t, c, &eventpb.SubscribeRequest{Account: "quiet"})
	publish(t, b, repeat(target("loud", "a.j"), 10)...)
	for receive(t, s).GetProgress().GetNextSequence() <= 10 {
	}
	trim(t, b)
	want := publish(t, b, target("quiet", "a.j"))[0]
	if got := nextEvent(t, s).GetSequence(); got != want {
		t.Errorf("got event %d, want %d", got, want)
	}
}

// A consumer that doesn't read slows nobody, gets what is kept when it reads again, and is told of the rest.
func TestSlowConsumer(t *testing.T) {
	const batches, size = 12, 400
	for _, c := range []struct {
		name string
		trim bool
	}{{"nothing removed", false}, {"removed under it", true}} {
		t.Run(c.name, func(t *testing.T) {
			b := bustest.Open(t)
			n := serve(t, Options{Log: b})
			small := []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
			slow, _ := subscribe(t, dial(t, n, small...), &eventpb.SubscribeRequest{})
			fast, _ := subscribe(t, dial(t, n), &eventpb.SubscribeRequest{})

			// Long names, so that buffers hold few events.
			batch := repeat(target("acme", strings.Repeat("a", 500)+".j"), size)
			var want []uint64
			for range batches {
				sent := publish(t, b, batch...)
				if diff := cmp.Diff(sent, sequences(t, fast, size)); diff != "" {
					t.Fatalf("the fast one (-want +got):\n%s", diff)
				}
				want = append(want, sent...)
			}
			until(t, "the metric shows the slow one's lag", func() bool { return testutil.ToFloat64(n.metrics.lag) > batches*size/4 })
			if c.trim {
				trim(t, b)
			}
			end := publish(t, b, target("acme", "end.j"))[0]
			gaps := covered(t, slow, want, end)
			if (gaps > 0) != c.trim {
				t.Errorf("%d gaps", gaps)
			}
			// The fast one may have been told of a gap, too, as all was removed that it had read just now.
			if got := testutil.ToFloat64(n.metrics.gaps); got < float64(gaps) {
				t.Errorf("metric counts %v gaps, the slow one got %d", got, gaps)
			}
			until(t, "nobody lags", func() bool { return testutil.ToFloat64(n.metrics.lag) == 0 })
		})
	}
}

// covered reads up to the event end and checks that each wanted sequence came, in order and once, or lies in a gap. It
// returns the number of gaps.
func covered(t *testing.T, s stream, want []uint64, end uint64) (gaps int) {
	t.Helper()
	came := make(map[uint64]bool)
	var missing []*eventpb.Gap
	for last := uint64(0); last < end; {
		m := receive(t, s)
		if m.GetGap() != nil {
			missing = append(missing, m.GetGap())
			continue
		}
		if m.GetProgress() != nil {
			continue
		}
		sequence := m.GetScrapeWritten().GetSequence()
		if sequence <= last {
			t.Fatalf("event %d came after %d", sequence, last)
		}
		came[sequence], last = true, sequence
	}
	for _, sequence := range want {
		if !came[sequence] && !within(missing, sequence) {
			t.Fatalf("event %d neither came nor lies in one of the gaps %v", sequence, missing)
		}
	}
	return len(missing)
}

func within(gaps []*eventpb.Gap, sequence uint64) bool {
	for _, g := range gaps {
		if g.GetFirstSequence() <= sequence && sequence <= g.GetLastSequence() {
			return true
		}
	}
	return false
}

func TestUndecodableEventIsAGap(t *testing.T) {
	b := bustest.Open(t)
	n := serve(t, Options{Log: b})
	s, _ := subscribe(t, dial(t, n), &eventpb.SubscribeRequest{})
	a := scrape.Target{Account: "acme", Name: "a.j"}
	bad := written(t, a, 1)
	bad.Data = []byte("not snappy")
	sent := appendAll(t, b, written(t, a, 1), bad, written(t, a, 2))
	if got := nextEvent(t, s).GetSequence(); got != sent[0] {
		t.Errorf("got event %d, want %d", got, sent[0])
	}
	wantGap(t, s, sent[1], sent[1])
	if got := nextEvent(t, s).GetSequence(); got != sent[2] {
		t.Errorf("got event %d, want %d", got, sent[2])
	}
	if got := testutil.ToFloat64(n.metrics.undecodable); got != 1 {
		t.Errorf("metric counts %v", got)
	}
}
