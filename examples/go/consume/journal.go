package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// journal is a file with a line for each scrape that was done: the result and, in it, the id. As one line is both, neither can
// be there without the other. Processes on one machine may share it. Where a consumer's results are rows of a database, a unique
// key over the id does the same.
type journal struct {
	file *os.File
	size int64 // how much of it was read
	done map[id]bool
}

// openJournal opens the file, which it makes if it is missing, and reads what was done.
func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, done: make(map[id]bool)}
	// The first time also makes the file's name durable, and the lines that a member has left without a sync.
	if err := errors.Join(syncDir(filepath.Dir(path)), j.locked(j.catchUp), f.Sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func (j *journal) close() { _ = j.file.Close() } // all is synced

// has reports whether a scrape was done, as far as this process has read.
func (j *journal) has(i id) bool { return j.done[i] }

// add appends the results that nobody has appended before and returns them. All results are durable then, those that another
// member has appended too.
func (j *journal) add(results []result) (added []result, err error) {
	err = j.locked(func() error {
		if err := j.catchUp(); err != nil {
			return err
		}
		added, err = j.append(results)
		return err
	})
	if err != nil {
		return nil, err
	}
	return added, j.file.Sync()
}

// locked calls do while no other process has the lock, which ends with the process that has it.
func (j *journal) locked(do func() error) error {
	if err := syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return errors.Join(do(), syscall.Flock(int(j.file.Fd()), syscall.LOCK_UN))
}

// catchUp reads what other members have appended. A last line without an end is of one that died while it wrote: it is cut off.
func (j *journal) catchUp() error {
	tail, err := io.ReadAll(io.NewSectionReader(j.file, j.size, 1<<62))
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	for line := range bytes.Lines(tail[:whole]) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("the line at offset %d is none of this program: %w", j.size, err)
		}
		j.done[r.id] = true
		j.size += int64(len(line))
	}
	if whole == len(tail) {
		return nil
	}
	return j.file.Truncate(j.size)
}

// append writes the results that are new.
func (j *journal) append(results []result) (added []result, err error) {
	var text []byte
	for _, r := range results {
		if j.done[r.id] {
			continue
		}
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		text = append(append(text, line...), '\n')
		j.done[r.id] = true
		added = append(added, r)
	}
	n, err := j.file.WriteAt(text, j.size)
	j.size += int64(n)
	return added, err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
