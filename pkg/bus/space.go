package bus

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoRoom: so little of the disk is free that the log must be spared. It is wrapped; test with errors.Is.
var ErrNoRoom = errors.New("too little free space for the log")

const (
	// minReserve and maxReserve bound the default reserve, a twentieth of the file system.
	minReserve = 256 << 20
	maxReserve = 5 << 30
	// floorShare is how much of the reserve is left to the stages: below that part of it they stop too, so that something
	// remains for trimming, checkpoints and whatever the server writes on its own.
	floorShare = 4
	// restartRoom is what must be free at least, or an eighth of a small file system, for a server to be started again: it may
	// have to write the rest of a batch.
	restartRoom = 64 << 20
	// spaceAge is how long an answer of the file system is good for.
	spaceAge = 250 * time.Millisecond
)

// space watches how much of the file system below a directory is free. New input ends at the reserve; what was taken can still
// be worked on until the floor, a quarter of it.
type space struct {
	dir    string
	statfs func(dir string) (free, total int64, err error)

	mu      sync.Mutex // guards what follows
	reserve watermark
	floor   watermark
	restart watermark
	free    int64
	err     error
	checked time.Time
}

// watermark is an amount of free space, in bytes, below which something ends. It begins again only with an eighth more, so that it
// does not go on and off with each message.
type watermark struct {
	bytes int64
	below bool
}

func (w *watermark) observe(free int64) {
	limit := w.bytes
	if w.below {
		limit += w.bytes / 8
	}
	w.below = free < limit
}

// newSpace returns a watch over dir, which must exist. A reserve of 0 stands for the default, a negative one for none.
func newSpace(dir string, reserve int64) (*space, error) {
	s := &space{dir: dir, statfs: statfs}
	_, total, err := s.statfs(dir)
	if err != nil {
		return nil, fmt.Errorf("free space of %s: %w", dir, err)
	}
	if reserve > total/2 {
		return nil, fmt.Errorf("the reserve of %d bytes is more than half of the file system of %s, which has %d: choose a smaller one",
			reserve, dir, total)
	}
	if reserve == 0 {
		reserve = defaultReserve(total)
	}
	s.reserve.bytes = max(reserve, 0)
	s.floor.bytes = s.reserve.bytes / floorShare
	s.restart.bytes = max(s.floor.bytes, min(restartRoom, total/8))
	return s, nil
}

// defaultReserve is a twentieth of a file system within bounds, but at most a quarter of a small one.
func defaultReserve(total int64) int64 {
	return min(max(total/20, minReserve), maxReserve, total/4)
}

// look asks the file system, unless it did so a moment ago. The mutex must be held.
func (s *space) look() {
	if now := time.Now(); now.Sub(s.checked) >= spaceAge {
		s.checked = now
		if s.free, _, s.err = s.statfs(s.dir); s.err == nil {
			s.reserve.observe(s.free)
			s.floor.observe(s.free)
			s.restart.observe(s.free)
		}
	}
}

// forInput reports why nothing new may be taken, or nil.
func (s *space) forInput() error { return s.check(&s.reserve, "the reserve") }

// forWork reports why not even what was taken may be worked on, or nil.
func (s *space) forWork() error {
	return s.check(&s.floor, "the part of the reserve that work must leave")
}

// forRestart reports why the server should not be started again yet, or nil.
func (s *space) forRestart() error { return s.check(&s.restart, "what a restart needs") }

func (s *space) check(w *watermark, what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	if s.err != nil {
		return fmt.Errorf("free space of %s: %w", s.dir, s.err)
	}
	if w.below {
		return fmt.Errorf("%w: %d bytes are free on the disk of %s, and %s is %d: remove files or enlarge the disk",
			ErrNoRoom, s.free, s.dir, what, w.bytes)
	}
	return nil
}

// bytesFree returns what is free for this process, in bytes; NaN if that is not known.
func (s *space) bytesFree() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	if s.err != nil {
		return math.NaN()
	}
	return float64(s.free)
}

// statfs returns the bytes that an unprivileged process may still write and the size of the file system.
func statfs(dir string) (free, total int64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), int64(fs.Blocks) * int64(fs.Bsize), nil
}
