package bus

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
)

// TestTrimStopsAtCheckpoints feeds some messages, lets a worker do them, feeds more while no worker runs, and trims as if all
// were old: what is done goes, what is not stays, and so do the last checkpoints.
func TestTrimStopsAtCheckpoints(t *testing.T) {
	b := oneNode(t)
	feed(t, b, 5)
	w := newCounter(t, b, "one", nil)
	w.o.Refresh = time.Millisecond // idle partitions follow at once
	stop := start(t, w.Run)
	checkCounts(t, b, 5)
	eventually.Succeeds(t, "all checkpoints are at the end", func() error {
		tr := newTrimmer(t, b)
		keep, err := tr.undone(t.Context(), tr.o.Rules[0], 101, false)
		if err == nil && keep <= 100 {
			return errNotYet
		}
		return err
	})
	stop()
	feed(t, b, 2)

	tr := newTrimmer(t, b)
	later := time.Now().Add(time.Hour)
	for _, r := range tr.o.Rules {
		if _, err := tr.trim(t.Context(), r, later, true); err != nil {
			t.Fatal(err)
		}
	}
	if first, last, _ := b.Bounds(t.Context(), event.Raw); first != 101 || last != 140 {
		t.Errorf("RAW holds %d to %d, want 101 to 140: all that is done is gone, all else is there", first, last)
	}
	if first, _, _ := b.Bounds(t.Context(), event.Scrapes); first <= 100 {
		t.Errorf("SCRAPES begins at %d, want it behind the outputs", first)
	}
	for p := range testPartitions {
		if _, err := b.Last(t.Context(), event.Scrapes, event.CheckpointSubject(event.StageAssembler, p)); err != nil {
			t.Errorf("checkpoint of partition %d: %v", p, err)
		}
	}
	// The state went with the outputs: this worker starts to count anew, but it reads exactly what was left.
	start(t, newCounter(t, b, "two", nil).Run)
	checkCounts(t, b, 2)
}

func TestTrimByAgeAndBytes(t *testing.T) {
	b := oneNode(t)
	feed(t, b, 5) // 100 messages
	tr := newTrimmer(t, b)
	s, err := b.stream(t.Context(), event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size := int64(info.State.Bytes)
	now := time.Now()
	tests := []struct {
		name string
		rule TrimRule
		now  time.Time
		keep uint64
	}{
		{"young", TrimRule{Age: time.Hour}, now, 1},
		{"old", TrimRule{Age: time.Hour}, now.Add(2 * time.Hour), 101},
		{"below four fifths of the bytes", TrimRule{Age: time.Hour, Bytes: 2 * size}, now.Add(10 * time.Minute), 1},
		{"over the bytes", TrimRule{Age: time.Hour, Bytes: size / 2}, now.Add(10 * time.Minute), 61},
		{"over the bytes, some seconds later", TrimRule{Age: time.Hour, Bytes: size / 2}, now.Add(freshness + time.Minute), 61},
		{"over the bytes but fresh", TrimRule{Age: time.Hour, Bytes: size / 2}, now, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keep, err := tr.wanted(t.Context(), s, tt.rule, info.State, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if keep < tt.keep || keep > tt.keep+1 { // one more or less by rounding
				t.Errorf("first to keep is %d, want %d", keep, tt.keep)
			}
		})
	}
}

// TestTrimAroundAnOldCheckpoint: the checkpoint of a partition that rests is kept, what lies behind it goes all the same if bytes must
// go, and so does input that such a partition has not said to be done.
func TestTrimAroundAnOldCheckpoint(t *testing.T) { each(t, testTrimAround) }

func testTrimAround(t *testing.T, b *Bus) {
	ctx := t.Context()
	quietWorker := newCounter(t, b, "quiet", nil)
	var sessions []*session
	for p := range testPartitions {
		sessions = append(sessions, &session{partition: p})
	}
	if err := quietWorker.publishCheckpoints(ctx, sessions, nil, false); err != nil {
		t.Fatal(err)
	}
	// Only one target, and so one partition, has anything to do, and it says so often.
	const n = 200
	busy := rawMessage("target-1", randomBytes(1000))
	p, _ := event.Partition(busy.Subject)
	for range n {
		sequences, err := b.Append(ctx, event.Raw, busy)
		if err != nil {
			t.Fatal(err)
		}
		target := scrape.Target{Account: "acme", Name: "target-1"}
		out := entries(event.Scrapes, Message{Subject: event.ScrapeSubject(target, testPartitions), Data: randomBytes(1000)})
		sessions[p].done.sequence = sequences[0]
		if err := quietWorker.publishCheckpoints(ctx, sessions[p:p+1], out, false); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(2 * freshness)
	tr, err := NewTrimmer(TrimmerOptions{Bus: b, Partitions: testPartitions, Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []TrimRule{
		{
			Stream: event.Raw, Age: time.Hour, Bytes: 100 << 10,
			Reader: event.StageAssembler, ReaderOutput: event.Scrapes, Subject: event.RawPartition,
		},
		{Stream: event.Scrapes, Age: time.Hour, Bytes: 100 << 10, Writer: event.StageAssembler},
	} {
		for range 2 {
			if _, err := tr.trim(ctx, r, later, false); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.StreamStatus(ctx, r.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if s.Bytes > 85<<10 || s.Bytes < 60<<10 {
			t.Errorf("%s holds %d bytes, want about four fifths of %d", r.Stream, s.Bytes, r.Bytes)
		}
	}
	for _, s := range sessions {
		m, err := b.Last(ctx, event.Scrapes, event.CheckpointSubject(event.StageAssembler, s.partition))
		if err != nil || m.Sequence != s.token {
			t.Errorf("the checkpoint of partition %d is message %d (%v), want %d", s.partition, m.Sequence, err, s.token)
		}
	}
	if err := quietWorker.publishCheckpoints(ctx, sessions, nil, true); err != nil {
		t.Errorf("the conditions on the checkpoints do not hold any more: %v", err)
	}
}

// TestTrimCutsBetweenMessages: a message that is kept keeps its parts.
func TestTrimCutsBetweenMessages(t *testing.T) {
	b := oneNode(t)
	sequences, err := b.Append(t.Context(), event.Raw, rawMessage("a", []byte("x")), rawMessage("a", randomBytes(3*partSize)), rawMessage("a", []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.stream(t.Context(), event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[uint64]uint64{
		1: 1, sequences[0] + 1: sequences[0] + 1, sequences[0] + 2: sequences[0] + 1, sequences[1]: sequences[0] + 1,
		sequences[2]: sequences[2], sequences[2] + 1: sequences[2] + 1,
	} {
		if keep, err := wholeMessages(t.Context(), s, at); err != nil || keep != want {
			t.Errorf("a cut at %d is made at %d (%v), want %d", at, keep, err, want)
		}
	}
}

// TestSmallLimitsFlow: with limits that hold only seconds of what comes in, on all streams, each full stream is emptied before long,
// refusals say that nothing was stored, and what was stored is done once.
func TestSmallLimitsFlow(t *testing.T) {
	b := oneNode(t)
	limits := event.Limits{RawBytes: 256 << 10, ScrapesBytes: 64 << 10}
	if err := b.EnsureStreams(t.Context(), event.Topology(limits), testPartitions); err != nil {
		t.Fatal(err)
	}
	tr, err := NewTrimmer(TrimmerOptions{Bus: b, Partitions: testPartitions, Logger: quiet(t), Rules: []TrimRule{
		{
			Stream: event.Raw, Age: time.Hour, Bytes: limits.RawBytes,
			Reader: event.StageAssembler, ReaderOutput: event.Scrapes, Subject: event.RawPartition,
		},
		{Stream: event.Scrapes, Age: time.Hour, Bytes: limits.ScrapesBytes, Writer: event.StageAssembler},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ahead := func() time.Time { return time.Now().Add(2 * freshness) } // so that nobody has to wait for it
	var mu sync.Mutex                                                  // guards done
	done := make(map[uint64]int)
	w := newCounter(t, b, "one", func(batch []Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range batch {
			done[d.Sequence]++
		}
		return nil
	})
	start(t, w.Run)
	stored, refused := make(map[uint64]bool), 0
	body := randomBytes(2000)
	for full := 0; full < 3; {
		sequences, err := b.Append(t.Context(), event.Raw, rawMessage("target-"+strconv.Itoa(len(stored)%20), body))
		switch {
		case errors.Is(err, ErrFull):
			full++
			refused++
			eventually.Succeeds(t, "RAW has room again", func() error {
				for _, r := range tr.o.Rules {
					if _, err := tr.trim(t.Context(), r, ahead(), false); err != nil {
						return err
					}
				}
				s, err := b.StreamStatus(t.Context(), event.Raw)
				if err == nil && s.Bytes > s.MaxBytes*9/10 {
					err = errNotYet
				}
				return err
			})
		case err != nil:
			t.Fatal(err)
		default:
			stored[sequences[0]] = true
		}
	}
	eventually.Succeeds(t, "all that was stored is done", func() error {
		for _, r := range tr.o.Rules { // SCRAPES may be full
			if _, err := tr.trim(t.Context(), r, ahead(), false); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for sequence := range stored {
			if done[sequence] == 0 {
				return fmt.Errorf("message %d is not done", sequence)
			}
		}
		return nil
	})
	eventually.Succeeds(t, "nothing waits", func() error {
		partitions, err := b.StageStatus(t.Context(), counterStage(), testPartitions)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			if p.Lag > 0 {
				return errNotYet
			}
		}
		return nil
	})
	t.Logf("%d stored, %d refused", len(stored), refused)
}

func newTrimmer(t *testing.T, b *Bus) *Trimmer {
	t.Helper()
	tr, err := NewTrimmer(TrimmerOptions{Bus: b, Partitions: testPartitions, Rules: []TrimRule{
		{Stream: event.Raw, Age: time.Minute, Reader: event.StageAssembler, ReaderOutput: event.Scrapes},
		{Stream: event.Scrapes, Age: time.Minute, Writer: event.StageAssembler},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
