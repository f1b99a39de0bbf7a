package deadletter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/glob"
)

// Filter selects letters. Empty fields select all.
type Filter struct {
	Account string
	Target  glob.Glob
	Reason  string
	// Since is the earliest time of arrival, in microseconds since the Unix epoch. A letter that doesn't say when it arrived matches.
	Since int64
}

func (f Filter) match(l *Letter) bool {
	return (f.Account == "" || l.Target.Account == f.Account) && f.Target.Match(l.Target.Name) &&
		(f.Reason == "" || l.Reason == f.Reason) && (l.Received == 0 || l.Received >= f.Since)
}

// List returns the letters that match, in the order in which they came into DEAD.
func (b *Box) List(ctx context.Context, f Filter) ([]*Letter, error) {
	var all []*Letter
	known := make(map[string]*Letter)
	o := bus.ReadOptions{Stream: event.Dead, Subjects: []string{event.DeadLetters(f.Account)}}
	err := b.log.Scan(ctx, o, func(m bus.Message) error {
		l, _ := parse(m)
		if !f.match(l) {
			return nil
		}
		id := l.subject + " " + l.name()
		if first := known[id]; first != nil {
			first.Copies = append(first.Copies, l.Sequence)
			return nil
		}
		known[id] = l
		all = append(all, l)
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all, b.findRequeued(ctx, all)
}

// findRequeued notes which letters have results.
func (b *Box) findRequeued(ctx context.Context, letters []*Letter) error {
	results := make(map[string]bool)
	o := bus.ReadOptions{Stream: event.Scrapes, Subjects: []string{event.AllRequeued}}
	err := b.log.Scan(ctx, o, func(m bus.Message) error {
		results[m.Subject[:strings.LastIndexByte(m.Subject, '.')]] = true
		return nil
	})
	for _, l := range letters {
		first := event.RequeuedSubject(l.Target, b.partitions, l.name(), 0)
		l.Requeued = results[strings.TrimSuffix(first, ".0")]
	}
	return err
}

// Find returns the letters with the given sequences in DEAD, in the order of DEAD. One that is not there is an error.
func (b *Box) Find(ctx context.Context, sequences ...uint64) ([]*Letter, error) {
	all, err := b.List(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	missing := make(map[uint64]bool)
	for _, s := range sequences {
		missing[s] = true
	}
	found := slices.DeleteFunc(all, func(l *Letter) bool {
		asked := false
		for _, s := range l.all() {
			asked = asked || slices.Contains(sequences, s)
			delete(missing, s)
		}
		return !asked
	})
	if len(missing) > 0 {
		return nil, fmt.Errorf("there is no dead letter %s; 'zstats deadletter ls' lists those that there are", join(slices.Sorted(maps.Keys(missing))))
	}
	return found, nil
}

func join(numbers []uint64) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(words, ", ")
}
