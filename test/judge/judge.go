// Package judge watches a pipeline under load while faults happen to it, and gathers all that its outcome is judged by: what was
// sent, written and notified, and what is in the dead letters.
package judge

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/status"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/test/load"
)

// Await asks until there is no error, for at most patience.
func Await(ctx context.Context, patience time.Duration, what string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Idle returns which stage has something to do, or nil.
func Idle(ctx context.Context, b *bus.Bus) error {
	s, err := status.Take(ctx, b, time.Now())
	if err != nil {
		return err
	}
	for i := range s.Stages {
		if lag := s.Stages[i].Lag(); lag > 0 {
			return fmt.Errorf("%s lags by %d messages", s.Stages[i].Name, lag)
		}
	}
	return nil
}

// Places are where the outcome is.
type Places struct {
	Bus      *bus.Bus
	Files    fs.FS
	Notifier string // HOST:PORT
}

// Gather reads the outcome of what a book says was sent. The pipeline must be idle.
func Gather(ctx context.Context, p Places, book *checker.Book) (r checker.Run, err error) {
	r = checker.Run{Sent: book.All(), Written: checker.Tree(p.Files)}
	if r.Dead, err = checker.DeadLetters(ctx, p.Bus); err != nil {
		return r, err
	}
	client, err := subscribe.New(subscribe.Options{Addr: p.Notifier})
	if err != nil {
		return r, err
	}
	r.Notified, r.EventsTrimmed, err = checker.Events(ctx, client)
	return r, err
}

// Total adds up what collectors have seen.
func Total(collectors []*load.Collector) (all load.Stats) {
	for _, c := range collectors {
		s := c.Stats()
		all.Requests += s.Requests
		all.Kept += s.Kept
		all.Resent += s.Resent
		all.Repeated += s.Repeated
		all.GivenUp += s.GivenUp
		all.Wrong = append(all.Wrong, s.Wrong...)
	}
	return all
}
