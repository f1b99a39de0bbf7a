package failpoints

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
)

// consumer follows all events through every death of the notifier, as a real one does.
type consumer struct {
	mu     sync.Mutex // guards events
	events []checker.Notified
}

// startConsumer follows the notifier at addr until the test ends.
func startConsumer(t *testing.T, addr string) *consumer {
	t.Helper()
	client, err := subscribe.New(subscribe.Options{Addr: addr, MinBackoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c := new(consumer)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for { // the process may die before the first subscription is in place
			err := client.Follow(ctx, from(c.next()), c.take)
			if ctx.Err() != nil {
				return
			}
			if !errors.Is(err, subscribe.ErrUnreachable) {
				t.Logf("the subscription ended, trying again: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

func from(sequence uint64) *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{FromSequence: sequence}}
}

func (c *consumer) take(u subscribe.Update) error {
	if u.Event != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, checker.NotifiedBy(u.Event))
	}
	return nil
}

// next returns the sequence behind the last event.
func (c *consumer) next() uint64 {
	all := c.all()
	if len(all) == 0 {
		return 1
	}
	return all[len(all)-1].Sequence + 1
}

func (c *consumer) all() []checker.Notified {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// kept returns the consumer's events and those beside them that the log keeps, in order.
func (c *consumer) kept(t *testing.T, b *bus.Bus) []checker.Notified {
	t.Helper()
	all := c.all()
	logged, _, err := checker.LoggedEvents(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range logged {
		if !slices.ContainsFunc(all, func(o checker.Notified) bool { return n.Sequence == o.Sequence }) {
			all = append(all, n)
		}
	}
	slices.SortStableFunc(all, func(a, b checker.Notified) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all
}
