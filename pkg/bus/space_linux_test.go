package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/eventually"
)

func TestDefaultReserve(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, test := range []struct{ total, want int64 }{
		{100 * mib, 25 * mib},
		{2 * gib, 256 * mib},
		{20 * gib, gib},
		{1000 * gib, 5 * gib},
	} {
		if got := defaultReserve(test.total); got != test.want {
			t.Errorf("reserve of a file system of %d MiB is %d MiB, want %d", test.total/mib, got/mib, test.want/mib)
		}
	}
}

func TestReserveLargerThanTheDisk(t *testing.T) {
	dir := t.TempDir()
	disk.Mount(t, dir, 64<<20)
	if s, err := StartServer(t.Context(), ServerOptions{Dir: dir, Reserve: 60 << 20}); err == nil {
		s.Close()
		t.Error("a reserve that leaves less than half of the disk was accepted")
	}
}

// TestRoomComesAndGoes fills a real disk step by step and empties it again: input ends at the reserve, work at a quarter of it,
// and both begin again only with some more than that.
func TestRoomComesAndGoes(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	disk.Mount(t, dir, 64*mib)
	s, err := newSpace(dir, 16*mib)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		free        int64
		input, work bool
	}{
		{60 * mib, true, true},
		{17 * mib, true, true},
		{15 * mib, false, true},
		{17 * mib, false, true}, // not enough more
		{19 * mib, true, true},
		{3 * mib, false, false},
		{0, false, false},
		{4*mib + mib/4, false, false},
		{5 * mib, false, true},
		{40 * mib, true, true},
	} {
		empty := disk.Fill(t, dir, step.free)
		s.checked = time.Time{}
		input, work := s.forInput(), s.forWork()
		if (input == nil) != step.input || (work == nil) != step.work {
			t.Errorf("with %d bytes free: input %v, work %v", step.free, input, work)
		}
		if input != nil && !errors.Is(input, ErrNoRoom) {
			t.Errorf("input ends with %v, want %v", input, ErrNoRoom)
		}
		empty()
	}
}

// TestStagesWaitForRoom: below the floor a worker commits nothing, says why, keeps its partitions, and goes on by itself.
func TestStagesWaitForRoom(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	disk.Mount(t, dir, 128*mib)
	s, err := StartServer(t.Context(), ServerOptions{Dir: dir, Reserve: 32 * mib, Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := open(t, Options{Server: s})
	w := newCounter(t, b, "one", nil)
	start(t, w.Run)
	feed(t, b, 1)
	checkCounts(t, b, 1)

	empty := disk.Fill(t, dir, 4*mib)
	eventually.Succeeds(t, "the worker waits", func() error {
		if err := w.Ready(); !errors.Is(err, ErrNoRoom) {
			return errors.Join(errNotYet, err)
		}
		return nil
	})
	if err := b.Room(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Room = %v, want %v", err, ErrNoRoom)
	}
	feed(t, b, 2) // nobody but ingest minds the reserve
	noMore(t, b, 1)
	empty()
	checkCounts(t, b, 3)
	eventually.Succeeds(t, "the worker is ready", w.Ready)
	eventually.Succeeds(t, "there is room", b.Room)
}
