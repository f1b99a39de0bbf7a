package writer

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/volume"
	"github.com/zstats/zstats/test/eventually"
)

// mount mounts a file system of the given size in memory, which takes root.
func mount(t *testing.T, dir, size string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
		t.Fatalf("mount a tmpfs on %s: %v; this test must be run by root, with CAP_SYS_ADMIN", dir, err)
	}
	if flags&unix.MS_REMOUNT != 0 {
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// TestDiskTrouble has a disk fail under a running writer and checks that it says so, leaves nothing behind, and writes
// everything once the disk is well.
func TestDiskTrouble(t *testing.T) {
	tests := []struct {
		name      string
		size      string // of the disk at first
		flags     uintptr
		reserve   int64
		wantReady error
		wantKind  string
	}{
		{name: "full", size: "64k", reserve: 1, wantReady: syscall.ENOSPC, wantKind: kindSpace},
		{name: "below the reserve", size: "1m", reserve: 2 << 20, wantReady: volume.ErrReserve, wantKind: kindSpace},
		{name: "read-only", size: "64m", flags: unix.MS_RDONLY, reserve: 1, wantReady: syscall.EROFS, wantKind: kindReadOnly},
	}
	inputs := node(t, 5, 4)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newLog(t, t.TempDir())
			feed(t, b, inputs)
			dir := t.TempDir()
			mount(t, dir, test.size, 0)
			w := newWriter(t, Options{Bus: b, Dir: dir, Reserve: test.reserve})
			mount(t, dir, test.size, unix.MS_REMOUNT|test.flags)
			stop := run(t, w)
			eventually.Succeeds(t, "writer says what is wrong", func() error {
				if err := w.Ready(); !errors.Is(err, test.wantReady) {
					return errors.Join(errors.New("not yet"), err)
				}
				if testutil.ToFloat64(w.metrics.errors.WithLabelValues(test.wantKind)) == 0 {
					return errors.New("not counted")
				}
				return nil
			})
			mount(t, dir, "64m", unix.MS_REMOUNT)
			checkEvents(t, b, dir, inputs)
			eventually.Succeeds(t, "writer is ready", w.Ready)
			stop()
			checkTree(t, dir, inputs)
			left, err := os.ReadDir(filepath.Join(dir, archive.TempDir))
			if err != nil || len(left) > 0 {
				t.Errorf("leftovers: %v, %v", left, err)
			}
		})
	}
}

// TestFullDiskIsLeftClean checks that a batch that does not fit leaves the disk as it was.
func TestFullDiskIsLeftClean(t *testing.T) {
	b := newLog(t, t.TempDir())
	inputs := node(t, 20, 1)
	announce(t, b, inputs)
	dir := t.TempDir()
	mount(t, dir, "64k", 0)
	w := newWriter(t, Options{Bus: b, Dir: dir, Reserve: 1})
	before, err := freeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Process(t.Context(), deliveries(t, inputs)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Process: %v, want %v", err, syscall.ENOSPC)
	}
	if after, err := freeBytes(dir); err != nil || after != before {
		t.Errorf("%d bytes are free after the batch, %d were before it: %v", after, before, err)
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("the batch has left %v", got)
	}
}

func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return fs.Bfree * uint64(fs.Bsize), err
}
