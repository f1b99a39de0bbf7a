package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/status"
	"github.com/zstats/zstats/test/judge"
	"github.com/zstats/zstats/test/load"
)

// patience bounds every wait for the stack to come to what it must come to.
const patience = 2 * time.Minute

// trial is one run of the stack through all steps.
type trial struct {
	s          *stack
	out        io.Writer
	book       *checker.Book
	collectors []*load.Collector
	flow       *judge.Flow
}

func newTrial(s *stack, seed uint64, out io.Writer) *trial {
	t := &trial{s: s, out: out, book: checker.NewBook()}
	const collectors, targets = 4, 10
	for i := range collectors {
		o := load.Options{
			Addrs: []string{s.ingest}, Account: account, Token: token, Interval: 500 * time.Millisecond,
			Seed: seed + uint64(i), Mischief: 10, Book: t.book,
		}
		for k := range targets {
			o.Targets = append(o.Targets, load.Target{Name: fmt.Sprintf("10.0.%d.%d:9100.node", i, k), Series: []int{1, 5, 20, 60, 400}[k%5]})
		}
		t.collectors = append(t.collectors, load.New(o))
	}
	t.flow = judge.NewFlow(collectors * targets)
	return t
}

func (t *trial) run(ctx context.Context) error {
	begun := time.Now()
	if err := t.s.up(ctx, "assembler=1"); err != nil {
		return err
	}
	if err := judge.Await(ctx, patience, "all containers are healthy", func() error { return t.s.healthy(ctx) }); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "the stack is up after %s\n", time.Since(begun).Round(100*time.Millisecond))
	err := t.underLoad(ctx)
	if err != nil {
		return err
	}
	return t.judge(ctx)
}

// underLoad goes through the steps while collectors send, and waits until all that they have sent is taken.
func (t *trial) underLoad(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching, sending sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		if err := t.flow.Watch(ctx, t.s.notifier); err != nil {
			fmt.Fprintln(t.out, "watch events:", err)
		}
	})
	sendingCtx, stopSending := context.WithCancel(ctx)
	for _, c := range t.collectors {
		sending.Go(func() { c.Run(sendingCtx) })
	}
	err := t.play(ctx)
	stopSending()
	sending.Wait()
	if err != nil {
		return err
	}
	draining, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, c := range t.collectors {
		if err := c.Drain(draining); err != nil {
			return err
		}
	}
	return nil
}

// play goes through the steps. After each, every target must flow again before the next one begins.
func (t *trial) play(ctx context.Context) error {
	if err := judge.Await(ctx, patience, "all targets flow", t.all); err != nil {
		return err
	}
	for _, s := range t.steps() {
		begun := time.Now()
		t.flow.Begin(s.name)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		done := time.Since(begun)
		if err := judge.Await(ctx, patience, s.name+": every target flows again", t.flowing); err != nil {
			return err
		}
		const round = 100 * time.Millisecond
		fmt.Fprintf(t.out, "%-50s done after %6s, every target flows again after %6s\n",
			s.name, done.Round(round), time.Since(begun).Round(round))
	}
	return nil
}

func (t *trial) all() error {
	if !t.flow.All() {
		return errors.New("not all targets had an event")
	}
	return nil
}

func (t *trial) flowing() error {
	if !t.flow.Flowing() {
		return errors.New("not all targets had an event since")
	}
	return nil
}

// withLog does something with the log.
func (t *trial) withLog(ctx context.Context, do func(*bus.Bus) error) error {
	b, err := t.s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return do(b)
}

// spread returns why the partitions of a stage are not spread evenly over n workers, or nil.
func spread(ctx context.Context, b *bus.Bus, stage string, n int) error {
	now, err := status.Take(ctx, b, time.Now())
	if err != nil {
		return err
	}
	for i := range now.Stages {
		s := &now.Stages[i]
		if s.Name != stage {
			continue
		}
		if len(s.Workers) != n || s.Unowned() > 0 {
			return fmt.Errorf("%d workers of %s, want %d; %d partitions without one", len(s.Workers), stage, n, s.Unowned())
		}
		fair := len(s.Partitions) / n
		for _, w := range s.Workers {
			if owned, _ := s.Owned(w); owned < fair || owned > fair+1 {
				return fmt.Errorf("a worker of %s has %d partitions, want %d", stage, owned, fair)
			}
		}
		return nil
	}
	return fmt.Errorf("there is no stage %s", stage)
}

// current returns which stream lacks a copy that is up to date, or nil.
func current(ctx context.Context, b *bus.Bus) error {
	now, err := status.Take(ctx, b, time.Now())
	if err != nil {
		return err
	}
	for _, s := range now.Streams {
		if s.Replicas != len(natsNodes()) || s.Leader == "" || len(s.Lost) > 0 {
			return fmt.Errorf("%s: %d copies, leader %q, not current: %v", s.Name, s.Replicas, s.Leader, s.Lost)
		}
	}
	return nil
}

// refused returns an error unless a collector would keep what it sends now.
func (t *trial) refused(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.s.ingest+"/api/v1/zstats", bytes.NewReader(nil))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("without any ingest the answer is %s, want 503", resp.Status)
	}
	return nil
}

// judge waits until nothing is left to do, and compares what came out with what was sent.
func (t *trial) judge(ctx context.Context) error {
	err := judge.Await(ctx, patience, "all containers are healthy", func() error { return t.s.healthy(ctx) })
	if err != nil {
		return err
	}
	if err := t.s.call(ctx, "stop", "collector"); err != nil { // of the demonstration, which sends all the time
		return err
	}
	return t.withLog(ctx, func(b *bus.Bus) error {
		if err := judge.Await(ctx, patience, "no stage lags", func() error { return judge.Idle(ctx, b) }); err != nil {
			return err
		}
		run, err := judge.Gather(ctx, judge.Places{Bus: b, Files: os.DirFS(t.s.files()), Notifier: t.s.notifier}, t.book)
		if err != nil {
			return err
		}
		return t.report(run)
	})
}

func (t *trial) report(run checker.Run) error {
	run.Foreign = true // the demonstration's collector sends too
	r, seen, demos := checker.Compare(run), judge.Total(t.collectors), 0
	for i := range run.Written {
		if run.Written[i].Target.Account == demo {
			demos++
		}
	}
	fmt.Fprintf(t.out, "%d requests, %d kept and sent again, %d repeated, %d answers given up, %d blobs asked for in full, %d scrapes of the demonstration\n",
		seen.Requests, seen.Kept, seen.Repeated, seen.GivenUp, seen.Resent, demos)
	fmt.Fprintf(t.out, "lost %d, duplicated %d, changed %d\n", r.Count(checker.Lost), r.Count(checker.Duplicated), r.Count(checker.Changed))
	fmt.Fprintln(t.out, r)
	for _, wrong := range seen.Wrong {
		fmt.Fprintln(t.out, "a wrong answer:", wrong)
	}
	for _, d := range run.Dead {
		fmt.Fprintf(t.out, "a dead letter: %+v\n", d)
	}
	if !r.OK() || len(seen.Wrong) > 0 || len(run.Dead) > 0 || demos == 0 {
		return errors.New("something is wrong, see above")
	}
	return nil
}
