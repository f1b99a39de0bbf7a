package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Moved is the moment, for Options.Hook, when a directory has left its place and is not removed yet. Gone is when all of a
// group have, durably.
const (
	Moved Step = "moved"
	Gone  Step = "gone"
)

// Remove removes directories from their places, which are relative to the volume, as whole as they came: each is renamed
// into this process's temporary directory, so that no reader that opens it by its name sees a part of it, then the renames
// are made durable, and only then are files removed. Gone tells, for each path, whether it is no longer at its place;
// one that another process took is gone too.
//
// A crash leaves directories in their places, whole, or among what is staged, where a Sweep removes them. After an error
// the same may be asked again. Remove asks for no reserve of space: it is what makes space.
func (v *Volume) Remove(paths []string) (gone []bool, err error) {
	gone = make([]bool, len(paths))
	if v.claim == nil {
		if v.claim, err = newClaim(v.temp()); err != nil {
			return gone, fmt.Errorf("claim a temporary directory: %w", err)
		}
	}
	moved, moveErr := v.take(paths, gone)
	if len(moved) == 0 {
		return gone, moveErr
	}
	if err := v.sync.names(v.above(moved)); err != nil {
		return gone, errors.Join(moveErr, fmt.Errorf("make removals durable: %w", err))
	}
	if err := v.o.Hook(Gone); err != nil {
		return gone, errors.Join(moveErr, err)
	}
	for _, m := range moved {
		if err := os.RemoveAll(m.to); err != nil {
			return gone, errors.Join(moveErr, fmt.Errorf("remove %s: %w", m.path, err))
		}
	}
	return gone, moveErr
}

// taken is a directory on its way out.
type taken struct{ path, to string }

// take renames directories into the claim, up to the first error.
func (v *Volume) take(paths []string, gone []bool) (moved []taken, err error) {
	for i, path := range paths {
		m := taken{path: path, to: filepath.Join(v.claim.dir, strconv.FormatUint(v.claim.next.Add(1), 10))}
		err := os.Rename(filepath.Join(v.o.Dir, path), m.to)
		if err != nil && !v.missing(path, err) {
			return moved, fmt.Errorf("take %s from its place: %w", path, err)
		}
		gone[i] = true
		if err != nil {
			continue
		}
		moved = append(moved, m)
		if err := v.o.Hook(Moved); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// missing reports whether a rename failed because nothing is at the path, and not for want of the temporary directory.
func (v *Volume) missing(path string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(filepath.Join(v.o.Dir, path))
	return errors.Is(err, fs.ErrNotExist)
}

// above returns the directories that have lost an entry, each once.
func (v *Volume) above(moved []taken) []string {
	seen := make(map[string]bool)
	var dirs []string
	for _, m := range moved {
		if dir := filepath.Dir(m.path); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, filepath.Join(v.o.Dir, dir))
		}
	}
	return dirs
}
