package ingest

import (
	"context"
	"errors"
	"sync"

	"github.com/zstats/zstats/pkg/bus"
)

// fault is what goes wrong with one call of Append.
type fault struct {
	stored bool // the messages are stored nevertheless
	err    error
	panics bool
}

var errFault = errors.New("the answer was lost")

// faultyLog passes messages on to an appender and does to calls what it was told to do.
type faultyLog struct {
	Appender

	mu     sync.Mutex // guards faults
	faults []fault
	// called, if set, is called before each call is passed on, answered after it was.
	called, answered func()
}

// inject makes the next calls go wrong.
func (f *faultyLog) inject(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

func (f *faultyLog) next() (next fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next = fault{stored: true}
	if len(f.faults) > 0 {
		next, f.faults = f.faults[0], f.faults[1:]
	}
	return next
}

func (f *faultyLog) Append(ctx context.Context, msgs []bus.Message) (sequences []uint64, err error) {
	if f.called != nil {
		f.called()
	}
	next := f.next()
	if next.stored {
		if sequences, err = f.Appender.Append(ctx, msgs); err != nil {
			return nil, err
		}
	}
	if f.answered != nil {
		f.answered()
	}
	if next.panics {
		panic("a defect")
	}
	if next.err != nil {
		return nil, next.err
	}
	return sequences, nil
}
