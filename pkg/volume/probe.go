package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// probe tries out, in a claim of its own, what the volume needs of its file system.
func (v *Volume) probe() (err error) {
	c, err := newClaim(v.temp())
	if err != nil {
		return fmt.Errorf("directory of files %s can't be used: %w; it must be writable and its file system must support flock", v.o.Dir, err)
	}
	defer func() { err = errors.Join(err, c.release()) }()
	if err := writeFile(filepath.Join(c.dir, "probe"), nil); err != nil {
		return fmt.Errorf("directory of files %s can't be used: %w", v.o.Dir, err)
	}
	if err := tellsCase(c.dir, os.Lstat); err != nil {
		return fmt.Errorf("directory of files %s can't be used: %w", v.o.Dir, err)
	}
	return sameFileSystem(v.o.Dir, c.dir)
}

// tellsCase returns an error if the file "probe" in dir is found as "PROBE".
func tellsCase(dir string, lstat func(string) (fs.FileInfo, error)) error {
	_, err := lstat(filepath.Join(dir, "PROBE"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return errors.New("its file system does not tell upper from lower case, so that targets whose names differ in nothing else " +
		"would share a directory; use a file system that does")
}

func sameFileSystem(dir, temp string) error {
	var devices [2]uint64
	for i, name := range []string{dir, temp} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil // such a system reports it when the first scrape is moved
		}
		devices[i] = uint64(stat.Dev)
	}
	if devices[0] != devices[1] {
		return fmt.Errorf("%s and %s must be on one file system, so that files can be moved: remove what is mounted or linked there", dir, temp)
	}
	return nil
}
