package push

import (
	"context"
	"sync"

	"github.com/zstats/zstats/pkg/bus"
)

// held are the events whose calls are under way.
type held struct {
	limit int
	room  chan struct{} // something was let go

	mu     sync.Mutex // guards events
	events map[uint64]bus.Delivered
}

func newHeld(limit int) *held {
	return &held{limit: limit, room: make(chan struct{}, 1), events: make(map[uint64]bus.Delivered)}
}

// hold notes an event. It reports false if its call is under way already: the log has given up waiting and delivered it again.
func (h *held) hold(d bus.Delivered) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, twice := h.events[d.Sequence]
	h.events[d.Sequence] = d
	return !twice
}

// drop forgets an event and returns its last delivery.
func (h *held) drop(sequence uint64) bus.Delivered {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.events[sequence]
	delete(h.events, sequence)
	select {
	case h.room <- struct{}{}:
	default:
	}
	return d
}

// wait waits until one more may be held, and returns how many; 0 if ctx has ended.
func (h *held) wait(ctx context.Context) int {
	for ctx.Err() == nil {
		if n := h.free(); n > 0 {
			return n
		}
		select {
		case <-h.room:
		case <-ctx.Done():
		}
	}
	return 0
}

func (h *held) free() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.limit-len(h.events), 0)
}

func (h *held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

// keep tells the log that all of them are being worked on.
func (h *held) keep() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.events {
		if err := d.Keep(); err != nil {
			return err
		}
	}
	return nil
}
