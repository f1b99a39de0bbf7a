package volume

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/zstats/zstats/pkg/failpoint"
)

const (
	lockSuffix = ".lock"
	deadSuffix = ".dead"
)

// claim is the directory in which one process stages. The lock beside it is held until the claim is released or the
// process ends. The lock's file is there before the directory and goes after it, so that a directory without one belongs
// to nobody.
type claim struct {
	dir  string
	lock *os.File
	next atomic.Uint64 // number of the last staged entry
}

// errLost says that another process took a new lock first, to look whether its owner is dead.
var errLost = errors.New("lock was taken by another process")

// newClaim makes a claim in directory temp.
func newClaim(temp string) (*claim, error) {
	const attempts = 10
	var err error
	for range attempts {
		dir := filepath.Join(temp, rand.Text())
		var lock *os.File
		if lock, err = lockNew(dir + lockSuffix); errors.Is(err, errLost) {
			continue
		}
		if err != nil {
			return nil, err
		}
		failpoint.Hit("volume.claim.locked")
		c := &claim{dir: dir, lock: lock}
		if err := os.Mkdir(dir, dirMode); err != nil {
			return nil, errors.Join(err, c.release())
		}
		return c, nil
	}
	return nil, err
}

// lockNew makes a file and locks it.
func lockNew(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, errLost
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), os.Remove(name))
	}
	// Whoever had the lock for a moment has removed the file.
	if !isAt(f, name) {
		_ = f.Close()
		return nil, errLost
	}
	return f, nil
}

// isAt reports whether f is the file that has the given name now.
func isAt(f *os.File, name string) bool {
	own, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(own, there)
}

// release removes the claim with everything staged in it.
func (c *claim) release() error {
	err := os.RemoveAll(c.dir)
	failpoint.Hit("volume.claim.emptied")
	if err == nil {
		err = removeFile(c.lock.Name())
	}
	return errors.Join(err, c.lock.Close())
}

// Sweep removes what dead processes have left staged and returns how many had. What can't be locked or removed is left
// and reported.
func (v *Volume) Sweep() (removed int, err error) {
	found, err := os.ReadDir(v.temp())
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, f := range found {
		if !strings.HasSuffix(f.Name(), lockSuffix) {
			continue
		}
		dead, err := sweep(filepath.Join(v.temp(), f.Name()))
		errs = append(errs, err)
		if dead {
			removed++
		}
	}
	return removed, errors.Join(errs...)
}

// sweep removes the claim with the given lock if its owner is dead.
func sweep(lock string) (dead bool, err error) {
	f, err := os.OpenFile(lock, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := lockFile(f); errors.Is(err, errLocked) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("lock %s: %w", lock, err)
	}
	dir := strings.TrimSuffix(lock, lockSuffix)
	if err := os.Rename(dir, dir+deadSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	failpoint.Hit("volume.sweep.renamed")
	if err := os.RemoveAll(dir + deadSuffix); err != nil {
		return false, err
	}
	failpoint.Hit("volume.sweep.emptied")
	return true, removeFile(lock)
}

// removeFile removes a file that may be gone already.
func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
