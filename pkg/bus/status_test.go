package bus

import (
	"errors"
	"fmt"
	"testing"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
)

func TestStatus(t *testing.T) { each(t, testStatus) }

func testStatus(t *testing.T, b *Bus) {
	ctx := t.Context()
	lag := func() (n uint64, owned int) {
		t.Helper()
		partitions, err := b.StageStatus(ctx, counterStage(), testPartitions)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range partitions {
			n += p.Lag
			if p.Worker == "one" {
				owned++
			}
		}
		return n, owned
	}
	if workers, err := b.Workers(ctx, counterStage().Name); err != nil || len(workers) > 0 {
		t.Errorf("before any worker: %q, %v", workers, err)
	}
	feed(t, b, 30)
	_, n, err := b.Bounds(ctx, event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	// In a cluster the messages are counted by one server, which may be behind the leader for a moment.
	eventually.Succeeds(t, "all messages wait before any worker", func() error {
		if waiting, owned := lag(); waiting != n || owned != 0 {
			return fmt.Errorf("%d messages wait and %d partitions are owned, want %d and 0", waiting, owned, n)
		}
		return nil
	})
	stop := start(t, newCounter(t, b, "one", nil).Run)
	eventually.Succeeds(t, "all is done by one", func() error {
		if waiting, owned := lag(); waiting > 0 || owned != testPartitions {
			return errNotYet
		}
		return nil
	})
	if workers, err := b.Workers(ctx, counterStage().Name); err != nil || len(workers) != 1 || workers[0] != "one" {
		t.Errorf("workers %q, %v", workers, err)
	}
	stop()
	if _, owned := lag(); owned != 0 {
		t.Errorf("after its end one owns %d partitions", owned)
	}
	s, err := b.StreamStatus(ctx, event.Raw)
	if err != nil || s.Messages != n || s.Last-s.First+1 != n || s.Bytes == 0 || s.Partitions != testPartitions || s.FirstTime.IsZero() {
		t.Errorf("stream %+v, %v", s, err)
	}
	if _, err := b.StreamStatus(ctx, "NONE"); err == nil {
		t.Error("a stream that is not there: no error")
	}
}

func TestBehindCounts(t *testing.T) {
	b := oneNode(t)
	feed(t, b, 10)
	_, last, err := b.Bounds(t.Context(), event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[uint64]uint64{0: last, 4: last - 4, last: 0, last + 99: 0} {
		if n, err := b.Behind(t.Context(), event.Raw, "zs.raw.>", from); err != nil || n != want {
			t.Errorf("behind %d: %d, %v; want %d", from, n, err, want)
		}
	}
	if n, err := b.Behind(t.Context(), event.Raw, "zs.raw.none.>", 0); err != nil || n != 0 {
		t.Errorf("a subject without messages: %d, %v", n, err)
	}
	if _, err := b.Behind(t.Context(), "NONE", ">", 0); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a stream that is not there: %v", err)
	}
}
