package volume

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// wholeSystem syncs the whole file system with one call, whatever the number of files.
//
// syncfs(2) reports the errors of writing back that occurred since the file it is given was opened, so the same one is kept.
type wholeSystem struct{ dir *os.File }

func (s wholeSystem) contents([]*Entry) error { return s.syncfs() }
func (s wholeSystem) names([]string) error    { return s.syncfs() }
func (s wholeSystem) close() error            { return s.dir.Close() }

func (s wholeSystem) syncfs() error {
	if err := unix.Syncfs(int(s.dir.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: s.dir.Name(), Err: err}
	}
	return nil
}

// newSyncer returns what makes changes below dir durable: the whole file system at once where that is known to report every
// error, else each file.
func newSyncer(dir string, each bool) (syncer, error) {
	if each {
		return eachFile{}, nil
	}
	ok, err := syncfsReports(dir)
	if err != nil || !ok {
		return eachFile{}, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return wholeSystem{dir: f}, nil
}

// syncfsReports tells whether syncfs on dir's file system reports failed writes. It does since Linux 5.8 (syncfs(2)), where
// the file system itself owns the device. One that is laid over others, or served by another machine or process, keeps its
// errors elsewhere or syncs nothing at all.
func syncfsReports(dir string) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	known := []int64{
		unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
	}
	if !slices.Contains(known, int64(fs.Type)) {
		return false, nil
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false, os.NewSyscallError("uname", err)
	}
	return atLeast(unix.ByteSliceToString(name.Release[:]), 5, 8), nil
}

// atLeast reports whether a kernel's release, such as "6.1.0-13-amd64", is not older than major.minor.
func atLeast(release string, major, minor int) bool {
	var have [2]int
	if _, err := fmt.Sscanf(release, "%d.%d", &have[0], &have[1]); err != nil {
		return false
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}

// topDirectory is FS_TOPDIR_FL of linux/fs.h, "chattr +T".
const topDirectory = 0x00020000

// spread asks ext4 to begin each directory made in dir in a group of blocks of its own, instead of beside dir and all else
// that lies there. Without a journal ext4 looks at every inode of a group that was deleted in the last minutes before it
// makes a file (recently_deleted in fs/ext4/ialloc.c), so a log that deletes files next to the volume would make each file
// many times as expensive. It is a hint: whether it is taken changes nothing else.
func spread(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	if flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil && flags&topDirectory == 0 {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topDirectory))
	}
}

// freeSpace returns the bytes that this process may still write.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// renameNew renames a directory to a place that must be free. Without the flag an empty directory would be replaced.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system can
		return renameIfFree(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// exchange swaps two directories.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system can
		return exchangeInSteps(a, b)
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
