package collector

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

const (
	instanceLabel = "instance"
	jobLabel      = "job"
)

// Collector scrapes targets and ships their scrapes to a zstats server. Make one with New.
type Collector struct {
	options  Options
	scrapers []*scraper
	queue    *queue
	sender   *sender
	log      *zap.Logger
	// own are the clients made here.
	own []*http.Client
}

// New returns a collector. It opens the buffer directory but sends and scrapes nothing before Run.
func New(o Options) (*Collector, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	server, err := parseServer(o.Server)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	m := newMetrics()
	c := &Collector{options: o, log: o.Logger}
	if c.queue, err = o.queue(m); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	if err := c.addTargets(m); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	c.sender = c.newSender(server, m)
	if err := m.register(o.Registerer, c.queue); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return c, nil
}

// queue returns the queue that the options describe.
func (o *Options) queue(m *metrics) (*queue, error) {
	settings := queueOptions{blobs: o.QueueBlobs, bytes: o.QueueBytes, batch: o.Batch, flush: o.Flush}
	if o.BufferDir != "" {
		const chunks = 8
		var err error
		settings.buffer, err = openBuffer(o.BufferDir, o.BufferBytes, o.QueueBytes/chunks, m, o.Logger)
		if err != nil {
			return nil, err
		}
	}
	return newQueue(settings), nil
}

func (c *Collector) newSender(server string, m *metrics) *sender {
	var transport http.RoundTripper
	if c.options.Client != nil {
		transport = c.options.Client.Transport
	}
	byName := make(map[string]*scraper, len(c.scrapers))
	for _, s := range c.scrapers {
		byName[s.name] = s
	}
	httpClient := c.newClient(transport)
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &sender{
		queue:      c.queue,
		client:     &client{url: server, token: c.options.Token, http: httpClient, timeout: c.options.RequestTimeout, metrics: m},
		batchBytes: c.options.BatchBytes,
		poll: func(target string, least time.Duration) {
			// A target of an earlier run, found in the buffer, may be scraped no more.
			if s := byName[target]; s != nil {
				s.least.Store(int64(least))
			}
		},
		ledger:  c.options.Ledger,
		metrics: m,
		log:     c.log,
		stored:  make(map[string]int64),
		limit:   c.options.Batch,
	}
}

// newClient returns a client with the transport; with none, with one of its own, whose connections end with Run.
func (c *Collector) newClient(transport http.RoundTripper) *http.Client {
	if transport != nil {
		return &http.Client{Transport: transport}
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          2 * len(c.options.Targets),
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       2*c.options.Interval + time.Minute,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}}
	c.own = append(c.own, client)
	return client
}

// addTargets makes the scrapers.
func (c *Collector) addTargets(m *metrics) error {
	client := c.options.ScrapeClient
	if client == nil {
		client = c.newClient(nil)
	}
	bodies := new(sync.Pool)
	seen := make(map[string]bool)
	for _, t := range c.options.Targets {
		s, err := c.newScraper(t)
		if err != nil {
			return err
		}
		if seen[s.name] {
			return fmt.Errorf("target %q is given twice: give each a job or an instance of its own", s.name)
		}
		seen[s.name] = true
		s.client, s.bodies, s.queue, s.metrics = client, bodies, c.queue, m
		c.scrapers = append(c.scrapers, s)
	}
	return nil
}

func (c *Collector) newScraper(t Target) (*scraper, error) {
	u, err := parseURL(t.URL)
	if err != nil {
		return nil, fmt.Errorf("target of job %q: %w", t.Job, err)
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	if t.Instance == "" {
		t.Instance = hostPort(u)
	}
	name := t.Instance + "." + t.Job
	if t.Job == "" {
		return nil, fmt.Errorf("target %q has no job", u.Redacted())
	}
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("target %q: %w", u.Redacted(), err)
	}
	o := &c.options
	labels := append([]scrape.Label{{Name: instanceLabel, Value: t.Instance}, {Name: jobLabel, Value: t.Job}}, o.Labels...)
	return &scraper{
		name:     name,
		url:      u.String(),
		interval: o.Interval,
		timeout:  o.Timeout,
		limit:    o.BodyBytes,
		parser:   expo.NewParser(labels, expo.Limits{Bytes: o.BodyBytes, Samples: o.Samples}),
		chain:    chain{proven: o.Proven},
		log:      c.log.With(zap.String("target", name)),
	}, nil
}

// Run scrapes and sends until ctx ends. Then it sends what waits, for Options.StopTimeout at most, writes the rest to the
// buffer directory if there is one, and returns nil. What is lost then is counted and logged.
func (c *Collector) Run(ctx context.Context) error {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := make(chan struct{})
	undelivered := make(chan []*pending, 1)
	go func() { undelivered <- c.sender.run(sending, stop) }()

	c.scrapeAll(ctx)
	c.log.Info("scraping has stopped", zap.Int("waiting", c.queue.stats().blobs))
	close(stop)
	deadline := time.AfterFunc(c.options.StopTimeout, cancel)
	defer deadline.Stop()
	c.end(<-undelivered)
	for _, client := range c.own {
		client.CloseIdleConnections()
	}
	return nil
}

// scrapeAll runs the scrapers until ctx ends. They begin at times spread over the interval, the first one at once.
func (c *Collector) scrapeAll(ctx context.Context) {
	var scrapers sync.WaitGroup
	for i, s := range c.scrapers {
		offset := time.Duration(i) * c.options.Interval / time.Duration(len(c.scrapers))
		scrapers.Go(func() { s.run(ctx, offset) })
	}
	scrapers.Wait()
}

// end keeps what was not delivered, and says what became of it.
func (c *Collector) end(undelivered []*pending) {
	lost := c.queue.keep(undelivered)
	stats := c.queue.stats()
	switch {
	case lost > 0:
		c.sender.metrics.drop(dropStopped, lost)
		c.log.Error("the collector has stopped before everything was delivered", zap.Int("lost", lost), zap.Int("buffer_files", stats.files))
	case stats.files > 0:
		c.log.Info("the collector has stopped; what was not delivered is sent after the next start", zap.Int("buffer_files", stats.files))
	default:
		c.log.Info("the collector has stopped; everything is delivered")
	}
}
