package notifier

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// subscribers are the subscriptions that are open.
type subscribers struct {
	limit int

	mu   sync.Mutex // guards open
	open map[*position]struct{}
}

// position is how far a subscription has come.
type position struct {
	// behind is set while events are known that were not sent yet.
	behind atomic.Bool
	// done is the sequence up to which nothing is left to send.
	done atomic.Uint64
}

func newSubscribers(limit int) *subscribers {
	return &subscribers{limit: limit, open: make(map[*position]struct{})}
}

// add takes a place, if one is free.
func (s *subscribers) add() (*position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limit {
		return nil, status.Errorf(codes.ResourceExhausted, "there are %d subscribers already, as many as may be: try again later", s.limit)
	}
	p := new(position)
	s.open[p] = struct{}{}
	return p, nil
}

func (s *subscribers) remove(p *position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

func (s *subscribers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// lag returns how many sequences the slowest subscription is behind last.
func (s *subscribers) lag(last uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most uint64
	for p := range s.open {
		if done := p.done.Load(); p.behind.Load() && last > done {
			most = max(most, last-done)
		}
	}
	return most
}
