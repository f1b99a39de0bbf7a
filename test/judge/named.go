package judge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
)

// stay is how long a member of a position stays at one notifier.
const stay = 3 * time.Second

// Named is a consumer of a named position with several members, each of which moves on to the next notifier now and then. It notes
// what it has acknowledged.
type Named struct {
	name  string
	addrs []string // of the notifiers

	mu     sync.Mutex // guards what follows
	seen   map[eventID]checker.Notified
	again  int // events that came more than once
	gaps   int
	failed string // why the last stream ended
}

// eventID tells an event from all others, also when it was written to the log twice.
type eventID struct {
	target scrape.Target
	epoch  int64
}

func idOf(n checker.Notified) eventID { return eventID{n.Target, n.Epoch} }

// NewNamed returns a consumer of all events that the notifiers at some addresses keep.
func NewNamed(name string, addrs []string) *Named {
	return &Named{name: name, addrs: addrs, seen: make(map[eventID]checker.Notified)}
}

// Run has members consume until ctx ends.
func (n *Named) Run(ctx context.Context, members int) {
	var running sync.WaitGroup
	for i := range members {
		running.Go(func() { n.member(ctx, i) })
	}
	running.Wait()
}

func (n *Named) member(ctx context.Context, i int) {
	open := &eventpb.OpenPosition{Name: n.name, From: &eventpb.OpenPosition_FromSequence{}}
	for ; ctx.Err() == nil; i++ {
		session, leave := context.WithTimeout(ctx, stay)
		client, err := subscribe.New(subscribe.Options{Addr: n.addrs[i%len(n.addrs)]})
		if err == nil {
			err = client.Consume(session, open, n.take)
		}
		leave()
		n.note(err)
		select { // nobody may be there at the moment
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (n *Named) note(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = fmt.Sprint(err)
}

// take notes an event, which is acknowledged then.
func (n *Named) take(u subscribe.Update) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case u.Gap != nil:
		n.gaps++
	case u.Delivery != nil:
		e := checker.NotifiedBy(u.Delivery.GetEvent())
		if _, ok := n.seen[idOf(e)]; ok {
			n.again++
		}
		n.seen[idOf(e)] = e
	}
	return nil
}

// Missing returns why the consumer does not have all of some events, or nil.
func (n *Named) Missing(all []checker.Notified) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	missing := 0
	var first checker.Notified
	for _, e := range all {
		if _, ok := n.seen[idOf(e)]; !ok {
			if missing++; missing == 1 {
				first = e
			}
		}
	}
	if missing == 0 {
		return nil
	}
	return fmt.Errorf("it lacks %d of %d events, the first is %+v; its last stream ended with: %s", missing, len(all), first, n.failed)
}

// Untrue returns which event the consumer has seen that is none of those that there are, or nil.
func (n *Named) Untrue(all []checker.Notified) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	there := make(map[eventID]bool, len(all))
	for _, e := range all {
		there[idOf(e)] = true
	}
	for id, e := range n.seen {
		if !there[id] {
			return fmt.Errorf("it was told of %+v, and there is no such event", e)
		}
	}
	return nil
}

// Counts returns how many events came, how many of them more than once, and how many gaps were told.
func (n *Named) Counts() (events, again, gaps int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen), n.again, n.gaps
}
