package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

// publishEvents stores n events of an account and returns their sequences.
func publishEvents(t *testing.T, b *Bus, account string, n int) (sequences []uint64) {
	t.Helper()
	target := scrape.Target{Account: account, Name: "a.j"}
	for range n {
		m := Message{Subject: event.EventSubject(target, testPartitions), Header: event.TargetHeader(target), Data: []byte("event")}
		s, err := b.Append(t.Context(), event.Events, m)
		if err != nil {
			t.Fatal(err)
		}
		sequences = append(sequences, s...)
	}
	return sequences
}

func openPosition(t *testing.T, b *Bus, name, account string, from uint64) *Position {
	t.Helper()
	p, err := b.OpenPosition(t.Context(), PositionSpec{PositionKey: PositionKey{Name: name}, FilterAccount: account, From: from})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pull takes n events.
func pull(t *testing.T, p *Position, n int) (all []Delivered) {
	t.Helper()
	eventually.Succeeds(t, fmt.Sprintf("%d events come", n), func() error {
		err := p.Pull(t.Context(), n-len(all), func(d Delivered) { all = append(all, d) })
		if err == nil && len(all) < n {
			err = errNotYet
		}
		return err
	})
	return all
}

// ackAll acknowledges events and waits until the server knows.
func ackAll(t *testing.T, all []Delivered) {
	t.Helper()
	for _, d := range all {
		if err := d.msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func sequencesOf(all []Delivered) (sequences []uint64) {
	for _, d := range all {
		sequences = append(sequences, d.Sequence)
	}
	return slices.Sorted(slices.Values(sequences))
}

// eventsTrimmer trims EVENTS by the age of an hour, and of what positions have not acknowledged by a day.
func eventsTrimmer(t *testing.T, b *Bus) (*Trimmer, TrimRule) {
	t.Helper()
	r := TrimRule{Stream: event.Events, Age: time.Hour, HeldAge: 24 * time.Hour, Writer: event.StageWriter}
	tr, err := NewTrimmer(TrimmerOptions{Bus: b, Partitions: testPartitions, Rules: []TrimRule{r}, Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	return tr, r
}

func trimAt(t *testing.T, tr *Trimmer, r TrimRule, in time.Duration) (first uint64) {
	t.Helper()
	if _, err := tr.trim(t.Context(), r, time.Now().Add(in), true); err != nil {
		t.Fatal(err)
	}
	first, _, err := tr.o.Bus.Bounds(t.Context(), r.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// TestPositionHoldsEvents: events that a position has not acknowledged stay beyond their age; when they go at last, it is
// told, until it has acknowledged that.
func TestPositionHoldsEvents(t *testing.T) { each(t, testPositionHolds) }

func testPositionHolds(t *testing.T, b *Bus) {
	p := openPosition(t, b, "billing", "acme", 1)
	openPosition(t, b, "idle", "nobody", 1) // holds nothing: nothing is for it
	publishEvents(t, b, "other", 1)
	acme := publishEvents(t, b, "acme", 4) // 2 to 5
	publishEvents(t, b, "other", 1)
	tr, r := eventsTrimmer(t, b)

	got := pull(t, p, 4)
	if diff := cmp.Diff(acme, sequencesOf(got)); diff != "" {
		t.Fatalf("sequences (-want +got):\n%s", diff)
	}
	if first := trimAt(t, tr, r, 2*time.Hour); first != 2 {
		t.Fatalf("EVENTS begin at %d, want 2: only that is not for the position", first)
	}
	ackAll(t, []Delivered{got[0], got[2]}) // 2 and 4
	eventually.Succeeds(t, "the acknowledged event goes", func() error {
		if first := trimAt(t, tr, r, 2*time.Hour); first != 3 {
			return fmt.Errorf("EVENTS begin at %d, want 3", first)
		}
		return nil
	})
	if g, err := p.Gap(t.Context()); err != nil || g != (Gap{}) {
		t.Fatalf("gap is %v, %v; nothing was missed yet", g, err)
	}
	if first := trimAt(t, tr, r, 48*time.Hour); first != 7 {
		t.Fatalf("EVENTS begin at %d, want 7: all are too old", first)
	}
	eventually.Succeeds(t, "the position has a gap from 3 to 6 and nothing to come", func() error {
		p := onlyPosition(t, b, "billing")
		if p.Gap != (Gap{3, 6}) || p.Unacked != 0 || p.Pending != 0 || !p.Oldest.IsZero() {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})
	again := openPosition(t, b, "billing", "acme", 1)
	if g, err := again.Gap(t.Context()); err != nil || g != (Gap{3, 6}) {
		t.Errorf("gap is %v, %v; want 3 to 6", g, err)
	}
	if acked, err := again.AckGap(t.Context(), 6); err != nil || acked != (Gap{3, 6}) {
		t.Fatalf("acknowledged %v, %v; want 3 to 6", acked, err)
	}
	if g, err := p.Gap(t.Context()); err != nil || g != (Gap{}) {
		t.Errorf("an acknowledged gap is %v, %v", g, err)
	}
	next := publishEvents(t, b, "acme", 1)
	if diff := cmp.Diff(next, sequencesOf(pull(t, again, 1))); diff != "" {
		t.Errorf("behind the gap (-want +got):\n%s", diff)
	}
}

func onlyPosition(t *testing.T, b *Bus, name string) PositionState {
	t.Helper()
	all, err := b.Positions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p PositionState) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("there is no position %s in %+v", name, all)
	}
	return all[i]
}

// TestBytesTrumpPositions: a forgotten position does not fill a stream that has a limit in bytes.
func TestBytesTrumpPositions(t *testing.T) {
	b := oneNode(t)
	p := openPosition(t, b, "forgotten", "", 1)
	publishEvents(t, b, "acme", 100)
	tr, r := eventsTrimmer(t, b)
	s, err := b.StreamStatus(t.Context(), event.Events)
	if err != nil {
		t.Fatal(err)
	}
	r.Bytes = int64(s.Bytes) / 2
	first := trimAt(t, tr, r, time.Minute) // 40 of 100 are four fifths of the half
	if first < 55 || first > 65 {
		t.Fatalf("EVENTS begin at %d, want about 61", first)
	}
	if g, err := p.Gap(t.Context()); err != nil || g != (Gap{1, first - 1}) {
		t.Errorf("gap is %v, %v; want 1 to %d", g, err, first-1)
	}
}

// TestGapGrows: what several trimmers note at once for one position is all told, and acknowledging a part leaves the rest.
func TestGapGrows(t *testing.T) { each(t, testGapGrows) }

func testGapGrows(t *testing.T, b *Bus) {
	p := openPosition(t, b, "slow", "", 1)
	name := p.consumer.CachedInfo().Name
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			errs[i] = b.changeGap(t.Context(), name, func(g Gap) Gap { return g.with(Gap{uint64(10 + i), uint64(20 + i)}) })
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		ack         uint64
		acked, want Gap
	}{{9, Gap{}, Gap{10, 27}}, {20, Gap{10, 20}, Gap{21, 27}}, {27, Gap{21, 27}, Gap{}}, {27, Gap{}, Gap{}}} {
		if acked, err := p.AckGap(t.Context(), step.ack); err != nil || acked != step.acked {
			t.Fatalf("%d acknowledges %v, %v; want %v", step.ack, acked, err, step.acked)
		}
		if g, err := p.Gap(t.Context()); err != nil || g != step.want {
			t.Errorf("after %d is acknowledged the gap is %v, %v; want %v", step.ack, g, err, step.want)
		}
	}
	// A position that is removed takes its gap along.
	if err := b.changeGap(t.Context(), name, func(Gap) Gap { return Gap{1, 2} }); err != nil {
		t.Fatal(err)
	}
	if err := b.RemovePosition(t.Context(), PositionKey{Name: "slow"}); err != nil {
		t.Fatal(err)
	}
	if all, err := b.allGaps(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("gaps of removed positions are kept: %v, %v", all, err)
	}
	if g, err := openPosition(t, b, "slow", "", 1).Gap(t.Context()); err != nil || g != (Gap{}) {
		t.Errorf("a new position has the gap %v of the one before, %v", g, err)
	}
}

// TestGapOfAnother: a position that is made or removed touches no gap of one of its name that others make meanwhile.
func TestGapOfAnother(t *testing.T) { each(t, testGapOfAnother) }

func testGapOfAnother(t *testing.T, b *Bus) {
	spec := PositionSpec{PositionKey: PositionKey{Name: "contested"}, From: 1}
	note := func(g Gap) {
		t.Helper()
		if err := b.changeGap(t.Context(), spec.consumer(), func(Gap) Gap { return g }); err != nil {
			t.Fatal(err)
		}
	}
	note(Gap{1, 1})
	have, revision, err := b.gapAt(t.Context(), spec.consumer())
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.stream(t.Context(), event.Events)
	if err != nil {
		t.Fatal(err)
	}
	note(Gap{5, 9}) // the others'
	if err := errors.Join(b.beginGap(t.Context(), s, spec, have, revision), b.forgetGap(t.Context(), spec.consumer(), revision)); err != nil {
		t.Fatal(err)
	}
	if g, err := b.gap(t.Context(), spec.consumer()); err != nil || g != (Gap{5, 9}) {
		t.Errorf("the gap is %v, %v; want 5 to 9", g, err)
	}
}

// TestNewPositionMissed: what a new position asks for and is gone is its first gap.
func TestNewPositionMissed(t *testing.T) { each(t, testNewPositionMissed) }

func testNewPositionMissed(t *testing.T, b *Bus) {
	publishEvents(t, b, "acme", 5)
	tr, r := eventsTrimmer(t, b)
	if first := trimAt(t, tr, r, 48*time.Hour); first != 6 {
		t.Fatalf("EVENTS begin at %d, want 6", first)
	}
	for from, want := range map[uint64]Gap{1: {1, 5}, 4: {4, 5}, 6: {}} {
		name := fmt.Sprint("from-", from)
		for _, how := range []string{"made", "opened again"} {
			if g, err := openPosition(t, b, name, "", from).Gap(t.Context()); err != nil || g != want {
				t.Errorf("%s, %s: the gap is %v, %v; want %v", name, how, g, err, want)
			}
		}
	}
}

// TestPositionFromNow: a new position that begins in the middle counts what lies before as acknowledged.
func TestPositionFromNow(t *testing.T) { each(t, testPositionFromNow) }

func testPositionFromNow(t *testing.T, b *Bus) {
	publishEvents(t, b, "acme", 5)
	openPosition(t, b, "late", "", 6)
	if p := onlyPosition(t, b, "late"); p.Acked != 5 || p.Pending != 0 {
		t.Errorf("a new position is %+v, want 5 acknowledged and none to come", p)
	}
	readers, err := b.DurableReaders(t.Context(), event.Events)
	if err != nil || len(readers) != 1 || readers[0].Acked != 5 || readers[0].Behind || readers[0].Position != "late" {
		t.Errorf("readers are %+v, %v", readers, err)
	}
	publishEvents(t, b, "acme", 2)
	eventually.Succeeds(t, "two events are pending", func() error {
		if p := onlyPosition(t, b, "late"); p.Pending != 2 || p.Oldest.IsZero() {
			return fmt.Errorf("position %+v", p)
		}
		return nil
	})
}

// TestPositionWaitsForDurability: no event is handed over that an embedded server has not synced yet, see ADR 0008.
func TestPositionWaitsForDurability(t *testing.T) {
	b := oneNode(t)
	p := openPosition(t, b, "eager", "", 1)
	const size = 900
	failed := make(chan error, 1)
	go func() {
		target := scrape.Target{Account: "acme", Name: "a.j"}
		batch := make([]Message, size)
		for i := range batch {
			batch[i] = Message{Subject: event.EventSubject(target, testPartitions), Header: event.TargetHeader(target), Data: randomBytes(2000)}
		}
		_, err := b.Append(t.Context(), event.Events, batch...)
		failed <- err
	}()
	l, err := b.server.current()
	if err != nil {
		t.Fatal(err)
	}
	for taken := 0; taken < size; {
		err := p.Pull(t.Context(), size-taken, func(d Delivered) {
			taken++
			l.mu.Lock()
			durable := l.mark(event.Events).sequence
			l.mu.Unlock()
			if d.Sequence > durable {
				t.Errorf("event %d was handed over, and the stream is known to be durable up to %d", d.Sequence, durable)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// TestPullGivesBack: what comes to a member that is leaving goes to the next one at once.
func TestPullGivesBack(t *testing.T) {
	b := oneNode(t)
	p := openPosition(t, b, "leaving", "", 1)
	want := publishEvents(t, b, "acme", 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Pull(ctx, 3, func(d Delivered) { t.Errorf("event %d was handed over", d.Sequence) }); err != nil {
		t.Fatal(err)
	}
	got := pull(t, p, 3)
	if diff := cmp.Diff(want, sequencesOf(got)); diff != "" {
		t.Errorf("sequences (-want +got):\n%s", diff)
	}
	for _, d := range got {
		if d.Attempt != 2 {
			t.Errorf("event %d comes for the %d. time, want the second", d.Sequence, d.Attempt)
		}
	}
}

// TestPositionsAreBounded: an account can't make so many positions that others have none.
func TestPositionsAreBounded(t *testing.T) {
	b := oneNode(t)
	open := func(account string, i int) error {
		_, err := b.OpenPosition(t.Context(), PositionSpec{PositionKey: PositionKey{Name: fmt.Sprint("p", i), Account: account}, From: 1})
		return err
	}
	for i := range maxOwned {
		if err := open("greedy", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := open("greedy", maxOwned); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v, want ErrTooMany", err)
	}
	if err := errors.Join(open("greedy", 0), open("modest", 0)); err != nil {
		t.Errorf("one that is there, and one of another account: %v", err)
	}
	must := PositionSpec{PositionKey: PositionKey{Name: "must", Account: "greedy"}, From: 1, Unbounded: true}
	if _, err := b.OpenPosition(t.Context(), must); err != nil {
		t.Errorf("one that isn't bounded: %v", err)
	}
}
