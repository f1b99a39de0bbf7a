package ingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/zstats/zstats/pkg/zstatsv1"
)

// timeouts bound how long a connection may take; tests shorten them.
type timeouts struct {
	header time.Duration // to send the header of a request
	body   time.Duration // to send a request; collectors give up after 300 s themselves
	idle   time.Duration // between two requests
	grace  time.Duration // for requests in flight when ingest stops
}

// Ingest takes requests of collectors and appends what they hold to RAW.
type Ingest struct {
	listener   net.Listener
	server     *http.Server
	tokens     Tokens
	raw, dead  Appender
	log        Log
	partitions int
	minPoll    time.Duration
	now        func() time.Time
	logger     *zap.Logger
	timeouts   timeouts

	intake  *intake
	locks   *locks
	heads   *heads
	marks   *marks
	gzip    zstatsv1.Compressor // for dead letters
	full    fullness
	metrics *metrics

	running atomic.Bool
	// open is held shared by every handler, and exclusively once Run has returned.
	open sync.RWMutex
}

var (
	errNotRunning = errors.New("ingest is not running")
	errStopped    = errors.New("ingest has stopped")
)

// New checks the options and listens. Connections wait until Run serves them; Run also closes the listener.
func New(o Options) (*Ingest, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	i := &Ingest{
		tokens: o.Tokens, raw: o.Raw, dead: o.Dead, log: o.Log, partitions: o.Partitions, minPoll: o.MinPoll,
		now: o.Now, logger: o.Logger, locks: newLocks(), metrics: newMetrics(), full: fullness{rest: 5 * time.Second},
		timeouts: timeouts{header: 10 * time.Second, body: 5 * time.Minute, idle: 2 * time.Minute, grace: 3 * time.Second},
	}
	i.marks = newMarks(o, i.metrics)
	if i.heads, err = newHeads(o, i.metrics); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	if i.intake, err = newIntake(o.Limits, i.metrics); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	if err := i.listen(o); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	if err := i.metrics.register(o.Registerer, i.heads); err != nil {
		return nil, errors.Join(fmt.Errorf("ingest: %w", err), i.listener.Close())
	}
	return i, nil
}

func (i *Ingest) listen(o Options) (err error) {
	if i.listener = o.Listener; i.listener == nil {
		if i.listener, err = net.Listen("tcp", o.Addr); err != nil {
			return err
		}
	}
	i.listener = netutil.LimitListener(i.listener, o.Limits.Connections)
	// What the server reports are connections that broke or were no HTTP: nothing to wake anybody for.
	errorLog, err := zap.NewStdLogAt(i.logger, zap.DebugLevel)
	if err != nil {
		return errors.Join(err, i.listener.Close())
	}
	i.server = &http.Server{
		Handler:        http.HandlerFunc(i.serve),
		TLSConfig:      o.TLS,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       errorLog,
	}
	return nil
}

// Addr returns the address that ingest listens on.
func (i *Ingest) Addr() net.Addr { return i.listener.Addr() }

// Ready reports why no requests are taken now, or nil.
func (i *Ingest) Ready() error {
	if !i.running.Load() {
		return errNotRunning
	}
	if err := i.marks.ready(); err != nil {
		return err
	}
	if err := i.full.ready(i.now()); err != nil {
		return err
	}
	if err := i.log.Room(); err != nil {
		return err
	}
	return i.log.Ready()
}

// Run serves until ctx ends. Then it takes no more requests, finishes those in flight within some seconds, and returns when
// the last of them has ended. It is called once.
func (i *Ingest) Run(ctx context.Context) error {
	i.warn()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { i.marks.run(watching) })
	served := make(chan error, 1)
	running.Go(func() { served <- i.listenAndServe() })
	i.running.Store(true)

	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		err = fmt.Errorf("ingest: serve on %s: %w", i.Addr(), err)
	}
	i.running.Store(false)
	i.shutdown()
	stop()
	running.Wait()
	i.open.Lock() // what the server's end has cut off may still be at work
	return err
}

func (i *Ingest) listenAndServe() error {
	i.server.ReadHeaderTimeout = i.timeouts.header
	i.server.ReadTimeout = i.timeouts.body
	i.server.WriteTimeout = i.timeouts.body + time.Minute
	i.server.IdleTimeout = i.timeouts.idle
	if i.server.TLSConfig != nil {
		return i.server.ServeTLS(i.listener, "", "")
	}
	return i.server.Serve(i.listener)
}

// shutdown lets requests in flight end, then cuts off those that are left: their collectors will send them again.
func (i *Ingest) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), i.timeouts.grace)
	defer cancel()
	if err := i.server.Shutdown(ctx); err != nil {
		i.logger.Warn("requests were cut off by the end of ingest; their collectors will send them again", zap.Error(err))
		_ = i.server.Close()
	}
}

// warn points out what is rarely meant.
func (i *Ingest) warn() {
	addr, ok := i.Addr().(*net.TCPAddr)
	if ok && !addr.IP.IsLoopback() && i.server.TLSConfig == nil {
		i.logger.Warn("tokens travel to ingest in plain text: it has no certificate", zap.Stringer("addr", addr))
	}
}
