package judge

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
)

// Flow watches the events and measures, after each fault, how long it takes until every target flows again: until an event has
// come for each of a scrape that was received after the fault began.
type Flow struct {
	targets int

	mu   sync.Mutex // guards what follows
	open []*stall
	took map[string][]time.Duration
	seen map[string]bool // targets that had an event
}

// stall is a fault after which not all targets flow yet.
type stall struct {
	kind  string
	since time.Time
	left  map[string]bool
}

// NewFlow returns a flow of a number of targets.
func NewFlow(targets int) *Flow {
	return &Flow{targets: targets, took: make(map[string][]time.Duration), seen: make(map[string]bool)}
}

// Begin notes that a fault begins now.
func (f *Flow) Begin(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stall{kind: kind, since: time.Now(), left: make(map[string]bool)}
	for name := range f.seen {
		s.left[name] = true
	}
	f.open = append(f.open, s)
}

// Watch follows a notifier until ctx ends.
func (f *Flow) Watch(ctx context.Context, addr string) error {
	client, err := subscribe.New(subscribe.Options{Addr: addr})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		// It gives up only if the first attempt finds nobody there.
		_ = client.Follow(ctx, &eventpb.SubscribeRequest{}, func(u subscribe.Update) error {
			if u.Event != nil {
				f.event(u.Event)
			}
			return nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (f *Flow) event(e *eventpb.ScrapeWritten) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[e.Target] = true
	f.open = slices.DeleteFunc(f.open, func(s *stall) bool {
		if time.UnixMicro(e.EpochUs).After(s.since) {
			delete(s.left, e.Target)
		}
		if len(s.left) > 0 {
			return false
		}
		f.took[s.kind] = append(f.took[s.kind], time.Since(s.since))
		return true
	})
}

// All reports whether every target had an event.
func (f *Flow) All() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen) >= f.targets
}

// Flowing reports whether every target flows again after all faults so far.
func (f *Flow) Flowing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) == 0
}

// Times returns, of a kind of fault, how often it was measured, the median and the longest time.
func (f *Flow) Times(kind string) (n int, median, longest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Sorted(slices.Values(f.took[kind]))
	if len(all) == 0 {
		return 0, 0, 0
	}
	return len(all), all[len(all)/2], all[len(all)-1]
}
