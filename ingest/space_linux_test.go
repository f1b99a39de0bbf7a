package ingest

import (
	"errors"
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/eventually"
)

// TestReserve fills the log's disk down to its reserve: collectors are told to keep what they have, before the log is hurt, and
// once there is room again everything goes on where it was.
func TestReserve(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	disk.Mount(t, dir, 64*mib)
	n := openNodeOn(t, bus.ServerOptions{Dir: dir, Reserve: 16 * mib}, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 4)
	wantCodes(t, r.send(t, s.next().full), 0)

	empty := disk.Fill(t, dir, 12*mib)
	eventually.Succeeds(t, "ingest says that the disk is nearly full", func() error {
		if err := r.Ready(); !errors.Is(err, bus.ErrNoRoom) {
			return errors.Join(errNotYet, err)
		}
		return nil
	})
	next := s.next()
	wantKept(t, r.post(t, pack(next.incr)))
	if err := n.bus.Ready(); err != nil {
		t.Errorf("the log is hurt: %v", err)
	}
	if got := len(n.raw(t)); got != 1 {
		t.Errorf("RAW holds %d blobs, want the first alone", got)
	}

	empty()
	eventually.Succeeds(t, "ingest is ready", r.Ready)
	wantCodes(t, r.send(t, next.incr), 0)
}
