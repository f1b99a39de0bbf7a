package replay

import (
	"container/list"
	"fmt"
	"io"
	"os"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// states keeps the states of chains, those used last in memory up to a number of bytes, the others in a temporary file. It is
// for one goroutine at a time.
type states struct {
	all    map[scrape.Target]*kept
	used   *list.List // of *kept in memory, last used first
	bytes  int64      // of the states in memory
	most   int64
	dir    string
	file   *os.File // nil until it is needed; it has no name
	end    int64    // of the file
	filled int64    // bytes of the file that are in use
}

// kept is what is known of a chain.
type kept struct {
	target scrape.Target
	state  *scrape.State // nil if nothing is known of the target, or if it is in the file
	// partial tells that the chain began with a state that is not the live run's.
	partial bool

	place *list.Element
	bytes int64 // in memory
	at    int64 // in the file, if length is not 0
	size  int
}

// newStates returns states that keep most bytes in memory and have their file in dir, or in the system's place if it is empty.
func newStates(most int64, dir string) *states {
	return &states{all: make(map[scrape.Target]*kept), used: list.New(), most: most, dir: dir}
}

// get returns what is kept of a target, with its state in memory, or nil.
func (s *states) get(t scrape.Target) (*kept, error) {
	k := s.all[t]
	if k == nil {
		return nil, nil
	}
	if k.size > 0 {
		data, err := s.read(k)
		if err != nil {
			return nil, err
		}
		st, err := event.DecodeState(data)
		if err != nil {
			return nil, fmt.Errorf("state of %s in the temporary file: %w", t, err)
		}
		s.filled -= int64(k.size)
		k.state, k.size = st, 0
		s.hold(k)
		return k, nil
	}
	if k.place != nil {
		s.used.MoveToFront(k.place)
	}
	return k, nil
}

// put keeps a state of a target.
func (s *states) put(t scrape.Target, st *scrape.State, partial bool) error {
	k := s.all[t]
	if k == nil {
		k = &kept{target: t}
		s.all[t] = k
	}
	if k.place != nil {
		s.used.Remove(k.place)
		s.bytes -= k.bytes
	}
	k.state, k.partial = st, partial
	s.hold(k)
	return s.spill()
}

func (s *states) hold(k *kept) {
	k.place, k.bytes = s.used.PushFront(k), 0
	if k.state != nil {
		k.bytes = int64(k.state.Size())
	}
	s.bytes += k.bytes
}

// spill moves states to the file until the others fit. The last one stays in any case.
func (s *states) spill() error {
	for s.bytes > s.most && s.used.Len() > 1 {
		k := s.used.Remove(s.used.Back()).(*kept)
		k.place = nil
		s.bytes -= k.bytes
		if k.state == nil {
			continue
		}
		data, err := event.EncodeState(k.state)
		if err != nil {
			return err
		}
		if err := s.write(k, data); err != nil {
			return err
		}
		k.state = nil
	}
	return nil
}

// encoded returns the payload of what is kept of a target, empty if nothing is known of it.
func (s *states) encoded(k *kept) ([]byte, error) {
	switch {
	case k.size > 0:
		return s.read(k)
	case k.state == nil:
		return nil, nil
	}
	return event.EncodeState(k.state)
}

func (s *states) read(k *kept) ([]byte, error) {
	data := make([]byte, k.size)
	if _, err := s.file.ReadAt(data, k.at); err != nil {
		return nil, fmt.Errorf("temporary file of states: %w", err)
	}
	return data, nil
}

// slack is how many bytes of the file may be unused, beside as many as are in use.
const slack = 16 << 20

func (s *states) write(k *kept, data []byte) error {
	if s.file == nil || s.end > 2*s.filled+slack {
		if err := s.renew(); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(data, s.end); err != nil {
		return fmt.Errorf("temporary file of states: %w", err)
	}
	k.at, k.size = s.end, len(data)
	s.end += int64(len(data))
	s.filled += int64(len(data))
	return nil
}

// renew replaces the file by one that holds only what is in use.
func (s *states) renew() error {
	file, err := os.CreateTemp(s.dir, "states-")
	if err != nil {
		return fmt.Errorf("temporary file of states: %w", err)
	}
	_ = os.Remove(file.Name()) // the name is of no use; one that stays does no harm
	end := int64(0)
	for _, k := range s.all {
		if k.size == 0 {
			continue
		}
		n, err := io.Copy(io.NewOffsetWriter(file, end), io.NewSectionReader(s.file, k.at, int64(k.size)))
		if err != nil {
			file.Close()
			return fmt.Errorf("temporary file of states: %w", err)
		}
		k.at = end
		end += n
	}
	s.close()
	s.file, s.end = file, end
	return nil
}

func (s *states) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}
