// Package disk gives tests small file systems of their own that really fill up.
package disk

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Mount puts an empty file system of so many bytes in memory on dir until the test ends, which takes root. Its owner must have
// closed its files by then, or leaves it mounted for as long as it has not.
func Mount(t testing.TB, dir string, bytes int64) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size(bytes)); err != nil {
		t.Fatalf("mount a tmpfs on %s: %v; this test must be run by root, with CAP_SYS_ADMIN", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// Resize makes the file system on dir larger or smaller.
func Resize(t testing.TB, dir string, bytes int64) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, size(bytes)); err != nil {
		t.Fatalf("remount %s: %v", dir, err)
	}
}

func size(bytes int64) string { return fmt.Sprintf("size=%d", bytes) }

// Fill takes what is free on the file system on dir but leave bytes, also while others write there, and returns a function that
// gives it back.
func Fill(t testing.TB, dir string, leave int64) (empty func()) {
	t.Helper()
	f, err := os.CreateTemp(dir, "ballast-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := int64(0); ; {
		free := free(t, dir) - leave
		if free <= 0 {
			break
		}
		err := unix.Fallocate(int(f.Fd()), 0, size, free)
		if errors.Is(err, unix.ENOSPC) {
			continue // somebody else was faster
		}
		if err != nil {
			t.Fatalf("take %d bytes of %s: %v", free, dir, err)
		}
		size += free
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Errorf("give back what fills the disk: %v", err)
		}
	}
}

func free(t testing.TB, dir string) int64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize)
}
