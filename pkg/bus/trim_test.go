package bus

import (
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
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
	eventually(t, "all checkpoints are at the end", func() error {
		tr := newTrimmer(t, b)
		needed, err := tr.needed(t.Context(), tr.o.Rules[0])
		if err == nil && needed <= 100 {
			return errNotYet
		}
		return err
	})
	stop()
	feed(t, b, 2)

	tr := newTrimmer(t, b)
	later := time.Now().Add(time.Hour)
	for _, r := range tr.o.Rules {
		if _, err := tr.trim(t.Context(), r, later); err != nil {
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
