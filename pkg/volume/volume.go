package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/zstats/zstats/pkg/failpoint"
)

// ErrReserve is wrapped by the error of Begin and Check when less space is free than the reserve.
var ErrReserve = errors.New("too little free space")

// Options describe a volume.
type Options struct {
	// Dir is the volume; it is made if it is missing.
	Dir string
	// Temp is the name, in Dir, of the directory below which everything is staged.
	Temp string
	// Reserve is how many bytes must be free when a group begins.
	Reserve int64
	// EachFile has every file and directory synced by itself where syncing the whole file system at once would do.
	EachFile bool
	// Synced is told how long each wait for the disk took; optional.
	Synced func(time.Duration)
	// Hook, for tests, is called at each Step; an error that it returns ends what is being done.
	Hook func(Step) error
}

// Step names a moment in the life of a group, for Options.Hook.
type Step string

// The moments, in their order.
const (
	Staged  Step = "staged"  // an entry has been written
	Written Step = "written" // all entries have been written, nothing is durable
	Durable Step = "durable" // all entries are durable
	Placed  Step = "placed"  // an entry has got its place
	Named   Step = "named"   // all places are durable
)

// Volume is a directory in which directories appear whole or not at all. Only Stage may be called concurrently, also while
// Publish works on others' entries.
type Volume struct {
	o     Options
	sync  syncer
	claim *claim // nil before Begin and after Abort
}

// File is a file to be.
type File struct {
	Name string
	Data []byte
}

// Entry is a directory on its way to its place.
type Entry struct {
	// Path is its place, relative to the volume.
	Path string
	// Taken is set by Publish if something was there already, which was left as it is. The entry is gone then.
	Taken bool
	// Replace, set before Publish, lets the entry take the place of a directory that is there. Where the file system can
	// swap directories, one of them is there at every moment.
	Replace bool
	// Replaced is set by Publish if the entry has taken the place of another.
	Replaced bool

	staged string
	files  []string // full names of the staged files
}

const (
	dirMode  = 0o755
	fileMode = 0o644
)

// Open returns a volume after it has checked that its file system does what is asked of it: it can be written to, tells
// upper from lower case, locks files, and holds the temporary directory too.
func Open(o Options) (*Volume, error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, o.Temp), dirMode); err != nil {
		return nil, fmt.Errorf("make directory of files: %w", err)
	}
	if o.Synced == nil {
		o.Synced = func(time.Duration) {}
	}
	if o.Hook == nil {
		o.Hook = func(s Step) error { failpoint.HitIn("volume", string(s)); return nil }
	}
	v := &Volume{o: o}
	if err := v.probe(); err != nil {
		return nil, err
	}
	spread(v.temp())
	var err error
	if v.sync, err = newSyncer(o.Dir, o.EachFile); err != nil {
		return nil, fmt.Errorf("open directory of files: %w", err)
	}
	return v, nil
}

// Close removes what is staged and ends the use of the volume.
func (v *Volume) Close() error { return errors.Join(v.Abort(), v.sync.close()) }

// Begin starts a group: it makes sure that there is room and that this process has a directory to stage in.
func (v *Volume) Begin() error {
	if err := v.Check(); err != nil {
		return err
	}
	if v.claim != nil {
		return nil
	}
	c, err := newClaim(v.temp())
	if err != nil {
		return fmt.Errorf("claim a temporary directory: %w", err)
	}
	v.claim = c
	return nil
}

// Check reports why nothing can be written now, as far as that can be told without writing, or nil.
func (v *Volume) Check() error {
	if err := writable(v.o.Dir); err != nil {
		return fmt.Errorf("directory of files %s is not writable: %w", v.o.Dir, err)
	}
	free, err := freeSpace(v.o.Dir)
	if err != nil {
		return fmt.Errorf("directory of files %s: %w", v.o.Dir, err)
	}
	if free < v.o.Reserve {
		return fmt.Errorf("%w on %s: %d bytes, and the reserve is %d", ErrReserve, v.o.Dir, free, v.o.Reserve)
	}
	return nil
}

// Stage writes a directory for the place path, which is relative to the volume. It may be called concurrently, after
// Begin.
func (v *Volume) Stage(path string, files ...File) (*Entry, error) {
	e := &Entry{Path: path, staged: filepath.Join(v.claim.dir, strconv.FormatUint(v.claim.next.Add(1), 10))}
	if err := os.Mkdir(e.staged, dirMode); err != nil {
		return nil, fmt.Errorf("stage %s: %w", path, err)
	}
	for _, f := range files {
		name := filepath.Join(e.staged, f.Name)
		if err := writeFile(name, f.Data); err != nil {
			return nil, fmt.Errorf("stage %s: %w", path, err)
		}
		e.files = append(e.files, name)
	}
	return e, v.o.Hook(Staged)
}

func writeFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Publish moves the staged entries to their places. After nil all of them are durable there, those that were Taken too.
// After an error some may be there; call Abort, and stage all of them again.
func (v *Volume) Publish(entries []*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := v.o.Hook(Written); err != nil {
		return err
	}
	if err := v.timed(func() error { return v.sync.contents(entries) }); err != nil {
		return fmt.Errorf("make files durable: %w", err)
	}
	if err := v.o.Hook(Durable); err != nil {
		return err
	}
	for _, e := range entries {
		if err := v.place(e); err != nil {
			return fmt.Errorf("move %s to its place: %w", e.Path, err)
		}
		if err := v.o.Hook(Placed); err != nil {
			return err
		}
	}
	if err := v.timed(func() error { return v.sync.names(v.parents(entries)) }); err != nil {
		return fmt.Errorf("make directories durable: %w", err)
	}
	return v.o.Hook(Named)
}

func (v *Volume) timed(sync func() error) error {
	start := time.Now()
	defer func() { v.o.Synced(time.Since(start)) }()
	return sync()
}

// place renames a staged entry to its place. The parents are there but for a target's first scrape, so they are made only
// when the rename misses them.
func (v *Volume) place(e *Entry) error {
	place := filepath.Join(v.o.Dir, e.Path)
	err := renameNew(e.staged, place)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(place), dirMode); err == nil {
			err = renameNew(e.staged, place)
		}
	}
	if e.Replace && errors.Is(err, fs.ErrExist) {
		if err = exchange(e.staged, place); err == nil {
			e.Replaced = true
			return os.RemoveAll(e.staged) // what was there
		}
	}
	// A file where a directory should be takes the place as well.
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		e.Taken = true
		return os.RemoveAll(e.staged)
	}
	return err
}

// parents returns the directories above the entries, up to the volume, each once.
func (v *Volume) parents(entries []*Entry) []string {
	seen := make(map[string]bool)
	var dirs []string
	for _, e := range entries {
		for rel := filepath.Dir(e.Path); !seen[rel]; rel = filepath.Dir(rel) {
			seen[rel] = true
			dirs = append(dirs, filepath.Join(v.o.Dir, rel))
		}
	}
	return dirs
}

// Abort removes everything that is staged, and the process's claim with it: after an error the claim itself may be what
// is wrong.
func (v *Volume) Abort() error {
	c := v.claim
	if c == nil {
		return nil
	}
	v.claim = nil
	return c.release()
}

func (v *Volume) temp() string { return filepath.Join(v.o.Dir, v.o.Temp) }
