package volume

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another process")

// lockFile locks a file for as long as it is open, or returns errLocked.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// writable reports why this process may not write to dir, or nil.
func writable(dir string) error {
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}

// renameIfFree looks first. Should another process put a directory there in between, the rename fails, because no published
// directory is empty.
func renameIfFree(from, to string) error {
	_, err := os.Lstat(to)
	if err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}

// exchangeInSteps swaps two directories. For a moment neither has b's name; a crash then leaves none there.
func exchangeInSteps(a, b string) error {
	old := a + deadSuffix
	if err := os.Rename(b, old); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(old, b))
	}
	return os.Rename(old, a)
}
