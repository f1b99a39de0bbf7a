package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/judge"
	"github.com/zstats/zstats/test/load"
)

// patience bounds every wait for the pipeline to recover.
const patience = 3 * time.Minute

// trial is one run of one world through one plan.
type trial struct {
	w          *world
	out        io.Writer
	book       *checker.Book
	collectors []*load.Collector
	flow       *judge.Flow
	named      *judge.Named
	pushed     *judge.Pushed
	planted    map[uint64]bool
	done       map[kind]int
	failures   []string

	mu sync.Mutex // guards done and failures
}

// sharedPrefix begins the names of targets that two collectors have by mistake.
const sharedPrefix = "10.9."

func newTrial(w *world, seed uint64, out io.Writer) *trial {
	t := &trial{w: w, out: out, book: checker.NewBook(), planted: make(map[uint64]bool), done: make(map[kind]int)}
	names := make(map[string]bool)
	for i := range 4 {
		var targets []load.Target
		for k := range 12 {
			// The last two names are those of targets of the next collector too, as happens by mistake.
			name := fmt.Sprintf("10.0.%d.%d:9100.node", i, k)
			if k >= 10 {
				name = fmt.Sprintf(sharedPrefix+"%d.%d:9100.node", i/2, k)
			}
			names[name] = true
			targets = append(targets, load.Target{Name: name, Series: []int{1, 5, 20, 20, 60, 400}[k%6]})
		}
		t.collectors = append(t.collectors, load.New(load.Options{
			Addrs: w.ingests, Account: account, Token: token, Targets: targets, Interval: 500 * time.Millisecond,
			Seed: seed + uint64(i), Mischief: 15, Book: t.book,
		}))
	}
	t.flow = judge.NewFlow(len(names))
	t.named = judge.NewNamed("faults", w.notifiers)
	t.pushed = judge.NewPushed(w.downstream, w.files())
	return t
}

// run plays the steps, waits until everything has come to rest and judges.
func (t *trial) run(ctx context.Context, steps []step, length time.Duration) error {
	if err := t.w.waitReady(ctx); err != nil {
		return err
	}
	if err := t.plant(ctx); err != nil {
		return err
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	var running sync.WaitGroup
	running.Go(func() { t.fail("watch events", t.flow.Watch(watching, t.w.notifiers[0])) })
	running.Go(func() { t.named.Run(watching, 2) })
	running.Go(func() { t.fail("the downstream service", t.pushed.Run(watching)) })
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	var senders sync.WaitGroup
	for _, c := range t.collectors {
		senders.Go(func() { c.Run(sending) })
	}
	if err := judge.Await(ctx, patience, "all targets flow", func() error {
		if !t.flow.All() {
			return errors.New("not all targets had an event")
		}
		return nil
	}); err != nil {
		return err
	}
	t.play(ctx, steps, length)
	stopSending()
	senders.Wait()
	err := t.settle(ctx)
	stopWatching()
	running.Wait()
	if err != nil {
		return err
	}
	return t.judge(ctx)
}

// play does what the plan says, each step in its time, and returns when the last one is over.
func (t *trial) play(ctx context.Context, steps []step, length time.Duration) {
	start := time.Now()
	var running sync.WaitGroup
	for _, s := range steps {
		wait(ctx, time.Until(start.Add(s.at)))
		if ctx.Err() != nil {
			break
		}
		running.Go(func() { t.step(ctx, s) })
	}
	wait(ctx, time.Until(start.Add(length)))
	running.Wait()
}

func (t *trial) step(ctx context.Context, s step) {
	if lock := t.w.locks[s.victim]; lock != nil {
		lock.Lock() // an earlier step may still be at it
		defer lock.Unlock()
	}
	fmt.Fprintln(t.out, s)
	var err error
	switch s.kind {
	case garbage:
		t.flow.Begin(string(s.kind))
		err = t.garbage(ctx)
	case killAll:
		t.flow.Begin(string(s.kind))
		err = t.killAll(ctx, s)
	case noRoom:
		err = t.fill(ctx, s, t.w.logDisk, 24<<20)
	case fullLog:
		err = t.fill(ctx, s, t.w.logDisk, 0)
	case fullFiles:
		err = t.fill(ctx, s, t.w.fileDisk, 0)
	default:
		t.flow.Begin(string(s.kind))
		err = strike(ctx, t.w.victims[s.victim], s)
	}
	t.fail(string(s.kind)+" of "+s.victim, err)
	t.mu.Lock()
	t.done[s.kind]++
	t.mu.Unlock()
}

// killAll kills all whose names begin as the step says, and starts them again. One that another step is at is waited for.
func (t *trial) killAll(ctx context.Context, s step) error {
	var group []victim
	for _, name := range slices.Sorted(maps.Keys(t.w.victims)) { // in one order, or two steps would wait for each other
		if strings.HasPrefix(name, s.victim+"-") {
			t.w.locks[name].Lock()
			defer t.w.locks[name].Unlock()
			group = append(group, t.w.victims[name])
		}
	}
	for _, v := range group {
		v.Kill()
	}
	wait(ctx, s.lasts)
	var err error
	for _, v := range group {
		err = errors.Join(err, v.Restart())
	}
	return err
}

func (t *trial) fail(what string, err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, what+": "+err.Error())
}

// fill takes a disk's room for a while.
func (t *trial) fill(ctx context.Context, s step, dir string, leave int64) error {
	give, err := disk.Take(dir, leave)
	if give == nil {
		return err
	}
	t.flow.Begin(string(s.kind)) // to take it took a while
	wait(ctx, s.lasts)
	return errors.Join(err, give())
}

// garbage sends requests that no collector sends. None may be stored, nor hurt anybody.
func (t *trial) garbage(ctx context.Context) error {
	for _, body := range []string{"", "garbage", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", strings.Repeat("x", 1<<20)} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.w.ingests[0]+"/api/v1/zstats", strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Zebrium-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil // nobody may be there at the moment
		}
		resp.Body.Close()
	}
	return nil
}

// plant puts poison into RAW: messages that can't be decoded, on the subjects of targets that are being scraped.
func (t *trial) plant(ctx context.Context) error {
	b, err := bus.Connect(bus.Options{URL: t.w.natsURL(), Name: "faults"})
	if err != nil {
		return err
	}
	defer b.Close()
	for i := range 3 {
		target := scrape.Target{Account: account, Name: fmt.Sprintf("10.0.%d.1:9100.node", i)}
		sequences, err := b.Append(ctx, event.Raw, bus.Message{
			Subject: event.RawSubject(target, event.DefaultPartitions), Header: event.TargetHeader(target), Data: []byte("poison"),
		})
		if err != nil {
			return fmt.Errorf("plant poison: %w", err)
		}
		t.planted[sequences[0]] = true
	}
	return nil
}

// settle waits until all that was sent is taken, and nothing is left to do.
func (t *trial) settle(ctx context.Context) error {
	if err := t.w.waitReady(ctx); err != nil {
		return err
	}
	if err := t.plant(ctx); err != nil {
		return err
	}
	draining, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, c := range t.collectors {
		if err := c.Drain(draining); err != nil {
			return err
		}
	}
	b, err := bus.Connect(bus.Options{URL: t.w.natsURL(), Name: "faults"})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := judge.Await(ctx, patience, "no stage lags", func() error { return judge.Idle(ctx, b) }); err != nil {
		return err
	}
	return t.settleConsumers(ctx)
}

// settleConsumers waits until the consumers have everything. What a killed notifier had delivered comes again after 30 s.
func (t *trial) settleConsumers(ctx context.Context) error {
	client, err := subscribe.New(subscribe.Options{Addr: t.w.notifiers[0]})
	if err != nil {
		return err
	}
	all, _, err := checker.Events(ctx, client)
	if err != nil {
		return err
	}
	if err := judge.Await(ctx, patience, "the consumer with a name has all events", func() error { return t.named.Missing(all) }); err != nil {
		return err
	}
	return judge.Await(ctx, patience, "the downstream service was told of all events", func() error { return t.pushed.Missing(all) })
}

// judge compares everything and prints what came of it.
func (t *trial) judge(ctx context.Context) error {
	b, err := bus.Connect(bus.Options{URL: t.w.natsURL(), Name: "faults"})
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := judge.Gather(ctx, judge.Places{Bus: b, Files: os.DirFS(t.w.files()), Notifier: t.w.notifiers[0]}, t.book)
	if err != nil {
		return err
	}
	t.fail("the consumer with a name", t.named.Untrue(r.Notified))
	t.fail("the downstream service", t.pushed.Untrue(r.Notified))
	r.Planted = t.planted
	t.reportDead(r.Dead)
	return t.report(checker.Compare(r))
}
