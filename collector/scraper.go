package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/expo"
)

// accept asks for the text format, and for OpenMetrics of targets that have nothing else. Names come as they are, not
// squeezed into the characters that the first version of the text format has.
const accept = "text/plain;version=0.0.4;escaping=allow-utf-8;q=1.0," +
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"

// scraper scrapes one target.
type scraper struct {
	name     string
	url      string
	interval time.Duration
	timeout  time.Duration
	limit    int // bytes of a body
	client   *http.Client
	bodies   *sync.Pool // of *bytes.Buffer, shared by all scrapers
	parser   *expo.Parser
	chain    chain
	queue    *queue
	metrics  *metrics
	log      *zap.Logger

	// least is the least interval that the server asks for, in nanoseconds; 0 for none.
	least   atomic.Int64
	failing bool
	faults  throttle
}

// scrapeError is why a scrape sends nothing.
type scrapeError struct {
	outcome outcome
	err     error
}

// Error implements error.
func (e *scrapeError) Error() string { return string(e.outcome) + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *scrapeError) Unwrap() error { return e.err }

func failed(o outcome, err error) error { return &scrapeError{outcome: o, err: err} }

// run scrapes, first after the offset, then every interval, until ctx ends.
func (s *scraper) run(ctx context.Context, offset time.Duration) {
	next := time.Now().Add(offset)
	for sleep(ctx, time.Until(next)) {
		s.turn(ctx)
		next = following(next, time.Now(), max(s.interval, time.Duration(s.least.Load())))
	}
}

// following returns the first time after now of the grid that has the given time and interval.
func following(at, now time.Time, interval time.Duration) time.Time {
	missed := max(0, now.Sub(at)/interval)
	return at.Add((missed + 1) * interval)
}

// sleep returns false if ctx ends before the time is over.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// turn scrapes once and reports what became of it.
func (s *scraper) turn(ctx context.Context) {
	err := s.scrape(ctx)
	if ctx.Err() != nil && err != nil {
		return // the collector stops, which is no fault of the target
	}
	if err == nil {
		s.metrics.scraped(scrapeTaken)
		s.recovered()
		return
	}
	if failure, ok := errors.AsType[*scrapeError](err); ok {
		s.metrics.scraped(failure.outcome)
	}
	s.failing = true
	if held, ok := s.faults.allow(time.Now()); ok {
		s.log.Warn("a scrape sends nothing", zap.Error(err), zap.Int("suppressed", held))
	}
}

func (s *scraper) recovered() {
	if s.failing {
		s.log.Info("scrapes are taken again")
	}
	s.failing = false
	s.faults.reset()
}

// scrape reads the target and puts its blob into the queue. The error is a *scrapeError.
func (s *scraper) scrape(ctx context.Context) error {
	body, _ := s.bodies.Get().(*bytes.Buffer)
	if body == nil {
		body = new(bytes.Buffer)
	}
	defer s.bodies.Put(body)
	body.Reset()
	start := time.Now()
	contentType, err := s.fetch(ctx, body)
	if err != nil {
		return err
	}
	schema, scraped, err := s.parser.Parse(body.Bytes(), contentType, start.UnixMilli())
	switch {
	case errors.Is(err, expo.ErrLimit):
		return failed(scrapeTooLarge, err)
	case err != nil:
		return failed(scrapeInvalid, err)
	case len(scraped.Values) == 0:
		return failed(scrapeEmpty, errors.New("the target exposes no samples"))
	}
	s.metrics.scrapeSeconds.Observe(time.Since(start).Seconds())
	link, err := s.chain.next(schema, scraped, time.Now())
	if err != nil {
		return failed(scrapeInvalid, err)
	}
	return s.hand(link, body.Len())
}

// hand hands a blob to the queue, and commits it if there is room.
func (s *scraper) hand(l link, size int) error {
	p := newPending(s.name, l)
	if !s.queue.push(p, time.Now()) {
		return failed(scrapeRefused, fmt.Errorf("no room for generation %d: %d blobs wait for the server", p.scrape.Generation, s.queue.stats().blobs))
	}
	s.chain.commit(l)
	s.metrics.scrapedBytes.Add(float64(size))
	s.metrics.scrapedSamples.Add(float64(len(l.state.Values)))
	s.metrics.inferredSamples.Add(float64(len(l.state.Inferred)))
	if l.delta == nil {
		s.metrics.full(l.why)
	}
	return nil
}

// fetch reads what the target exposes into body and returns its content type.
func (s *scraper) fetch(ctx context.Context, body *bytes.Buffer) (contentType string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return "", failed(scrapeUnreachable, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "zstats")
	resp, err := s.client.Do(req) // with gzip: the transport asks for it and unpacks
	if err != nil {
		return "", failed(scrapeUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", failed(scrapeStatus, fmt.Errorf("the target answers with status %s", resp.Status))
	}
	n, err := body.ReadFrom(io.LimitReader(resp.Body, int64(s.limit)+1))
	switch {
	case err != nil:
		return "", failed(scrapeUnreachable, fmt.Errorf("read body: %w", err))
	case n > int64(s.limit):
		return "", failed(scrapeTooLarge, fmt.Errorf("the body is larger than %d bytes", s.limit))
	}
	return resp.Header.Get("Content-Type"), nil
}
