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
	unmount, err := MountOn(dir, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
}

// MountOn is Mount for programs that are no tests.
func MountOn(dir string, bytes int64) (unmount func() error, err error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size(bytes)); err != nil {
		return nil, fmt.Errorf("mount a tmpfs on %s: %w; that takes root, with CAP_SYS_ADMIN", dir, err)
	}
	return func() error {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
		return nil
	}, nil
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
	give, err := Take(dir, leave)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := give(); err != nil {
			t.Errorf("give back what fills the disk: %v", err)
		}
	}
}

// Take is Fill for programs that are no tests.
func Take(dir string, leave int64) (give func() error, err error) {
	f, err := os.CreateTemp(dir, "ballast-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	give = func() error { return os.Remove(f.Name()) }
	for size := int64(0); ; {
		free, err := free(dir)
		if err != nil {
			return give, err
		}
		if free -= leave; free <= 0 {
			return give, nil
		}
		err = unix.Fallocate(int(f.Fd()), 0, size, free)
		if errors.Is(err, unix.ENOSPC) {
			continue // somebody else was faster
		}
		if err != nil {
			return give, fmt.Errorf("take %d bytes of %s: %w", free, dir, err)
		}
		size += free
	}
}

func free(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}
