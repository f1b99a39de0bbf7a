package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
)

// flow watches the events and measures, after each fault, how long it takes until every target flows again: until an event has
// come for each of a scrape that was received after the fault began.
type flow struct {
	targets int

	mu   sync.Mutex // guards what follows
	open []*stall
	took map[kind][]time.Duration
	seen map[string]bool // targets that had an event
}

// stall is a fault after which not all targets flow yet.
type stall struct {
	kind  kind
	since time.Time
	left  map[string]bool
}

func newFlow(targets int) *flow {
	return &flow{targets: targets, took: make(map[kind][]time.Duration), seen: make(map[string]bool)}
}

// begin notes that a fault begins now.
func (f *flow) begin(k kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stall{kind: k, since: time.Now(), left: make(map[string]bool)}
	for name := range f.seen {
		s.left[name] = true
	}
	f.open = append(f.open, s)
}

// watch follows a notifier until ctx ends.
func (f *flow) watch(ctx context.Context, addr string) error {
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
		wait(ctx, 50*time.Millisecond)
	}
	return nil
}

func (f *flow) event(e *eventpb.ScrapeWritten) {
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

// all reports whether every target had an event.
func (f *flow) all() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen) >= f.targets
}

// times returns, of a kind of fault, how often it was measured, the median and the longest time.
func (f *flow) times(k kind) (n int, median, longest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Sorted(slices.Values(f.took[k]))
	if len(all) == 0 {
		return 0, 0, 0
	}
	return len(all), all[len(all)/2], all[len(all)-1]
}
