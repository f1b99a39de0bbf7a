// Package disk gives tests small file systems of their own that really fill up.
package disk

import (
	"fmt"
	"os"
	"path/filepath"
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

// Fill takes what is free on the file system on dir but leave bytes, and returns a function that gives it back. Whoever writes
// there at the same time may find less.
func Fill(t testing.TB, dir string, leave int64) (empty func()) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "ballast-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if take := int64(fs.Bavail)*int64(fs.Bsize) - leave; take > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, take); err != nil {
			t.Fatalf("take %d bytes of %s: %v", take, filepath.Dir(f.Name()), err)
		}
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Errorf("give back what fills the disk: %v", err)
		}
	}
}
