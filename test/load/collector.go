package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// Options configure a Collector.
type Options struct {
	// Addrs are the addresses of ingests, HOST:PORT; requests go round them.
	Addrs          []string
	Account, Token string
	Targets        []Target
	// Interval is the time between two scrapes of each target.
	Interval time.Duration
	// Seed decides the values and the mischief.
	Seed uint64
	// Mischief is how often, of a thousand times, a request is repeated, its answer given up, or a target restarted.
	Mischief int
	Book     *checker.Book
}

// Collector scrapes made-up targets and sends what it finds. It is for one goroutine, but for Stats.
type Collector struct {
	o       Options
	random  *rand.Rand
	targets []*target
	pending []*item // oldest first
	client  http.Client
	turn    int

	mu    sync.Mutex // guards stats
	stats Stats
}

// Stats count what a collector has seen.
type Stats struct {
	Requests, Kept, Resent, Repeated, GivenUp int
	// Wrong are answers that no server may give to what was sent.
	Wrong []string
}

// New returns a collector.
func New(o Options) *Collector {
	c := &Collector{o: o, random: rand.New(rand.NewPCG(o.Seed, 1))}
	c.client = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	for _, t := range o.Targets {
		c.targets = append(c.targets, newTarget(o.Account, t, c.random))
	}
	return c
}

const (
	// mostPending is how many blobs may wait; a collector whose buffer is full scrapes no more.
	mostPending = 20_000
	// batch is how many blobs go into a request.
	batch = 200
)

// Run scrapes and sends until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	tick := time.NewTicker(c.o.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.client.CloseIdleConnections()
			return
		case <-tick.C:
		}
		for _, t := range c.targets {
			if c.mischief() {
				t.restart()
			}
			if len(c.pending) < mostPending {
				c.pending = append(c.pending, t.next())
			}
		}
		c.flush(ctx)
	}
}

// Drain sends what waits, until nothing does or ctx ends.
func (c *Collector) Drain(ctx context.Context) error {
	defer c.client.CloseIdleConnections()
	for len(c.pending) > 0 {
		if c.flush(ctx); len(c.pending) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d blobs were never taken: %w", len(c.pending), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// Stats returns what was counted so far.
func (c *Collector) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *Collector) count(f func(*Stats)) {
	c.mu.Lock()
	f(&c.stats)
	c.mu.Unlock()
}

func (c *Collector) mischief() bool { return c.random.IntN(1000) < c.o.Mischief }

// flush sends what waits until something is not taken.
func (c *Collector) flush(ctx context.Context) {
	for len(c.pending) > 0 && ctx.Err() == nil {
		items := c.pending[:min(batch, len(c.pending))]
		if c.mischief() {
			c.giveUp(ctx, items)
			return // they are still pending
		}
		left, err := c.deliver(ctx, items)
		if err != nil {
			c.count(func(s *Stats) { s.Kept++ })
			c.pending = append(left, c.pending[len(items):]...)
			return
		}
		if c.mischief() {
			c.count(func(s *Stats) { s.Repeated++ })
			_, _ = c.deliver(ctx, items) // whatever comes of it
		}
		c.pending = c.pending[len(items):]
	}
}

// deliver sends blobs and, once more, those that are asked for in full. It returns those that must be sent again, with the reason.
func (c *Collector) deliver(ctx context.Context, items []*item) (left []*item, err error) {
	codes, err := c.exchange(ctx, items)
	if err != nil {
		return append([]*item{}, items...), err
	}
	var again []*item
	for i, code := range codes {
		if code == zstatsv1.CodeSendFull {
			items[i].needFull = true
			again = append(again, items[i])
		}
	}
	if len(again) == 0 {
		return nil, nil
	}
	c.count(func(s *Stats) { s.Resent += len(again) })
	if _, err := c.exchange(ctx, again); err != nil {
		return again, err
	}
	return nil, nil // what was not taken in full is dropped
}

// exchange sends blobs and returns their codes. An error says that all of them must be kept.
func (c *Collector) exchange(ctx context.Context, items []*item) ([]int8, error) {
	c.note(items)
	req, err := c.request(ctx, items)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, fmt.Errorf("%s: %s", resp.Status, data)
	default:
		return c.wrong(items, "status %s makes a collector drop its data: %s", resp.Status, data)
	}
	answer, err := zstatsv1.DecodeResponse(data)
	if err == nil {
		err = answer.Check(len(items))
	}
	if err != nil || answer.Err != "" {
		return c.wrong(items, "answer %+v: %v", answer, err)
	}
	for i, code := range answer.IErrCodes {
		c.o.Book.Answered(items[i].sent.Target, items[i].truth.Generation, code)
		if code != zstatsv1.CodeStored && code != zstatsv1.CodeSendFull {
			c.count(func(s *Stats) { s.Wrong = append(s.Wrong, fmt.Sprintf("code %d for %s", code, items[i].name)) })
		}
	}
	return answer.IErrCodes, nil
}

// wrong notes an answer that no server may give. The collector goes on as if everything was dropped.
func (c *Collector) wrong(items []*item, format string, args ...any) ([]int8, error) {
	c.count(func(s *Stats) { s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...)) })
	return make([]int8, len(items)), nil
}

func (c *Collector) note(items []*item) {
	all := make([]checker.Sent, len(items))
	for i, it := range items {
		all[i] = it.sent
	}
	c.o.Book.Sent(all...)
	c.count(func(s *Stats) { s.Requests++ })
}

func (c *Collector) request(ctx context.Context, items []*item) (*http.Request, error) {
	instances := make([]zstatsv1.Instance, len(items))
	for i, it := range items {
		instances[i] = it.instance()
	}
	var z zstatsv1.Compressor
	body := z.Append(nil, zstatsv1.AppendRequest(nil, zstatsv1.NewRequest(c.o.Token, instances)))
	addr := c.o.Addrs[c.turn%len(c.o.Addrs)]
	c.turn++
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/v1/zstats", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", c.o.Token)
	return req, nil
}

// giveUp sends blobs and goes away without waiting for the answer.
func (c *Collector) giveUp(ctx context.Context, items []*item) {
	c.note(items)
	c.count(func(s *Stats) { s.GivenUp++ })
	req, err := c.request(ctx, items)
	if err != nil {
		return
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", req.URL.Host)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = errors.Join(conn.SetDeadline(time.Now().Add(2*time.Second)), req.Write(conn)) // it may arrive or not
}
