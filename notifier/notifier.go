package notifier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/keypair"
)

// pace holds the notifier's intervals; tests shorten them.
type pace struct {
	watch  time.Duration // between two looks at the log for readiness and lag
	verify time.Duration // between two checks of a busy subscription for events that were removed
	idle   time.Duration // between two such checks of a quiet one, and so between two Progress messages
	grace  time.Duration // for the subscriptions to end by themselves when the notifier stops
	// keep is the time between two times that a member tells the log that its events are being worked on, and looks for a gap. It
	// must be well below the 30 s that the log waits.
	keep      time.Duration
	positions time.Duration // between two looks at the named positions, for the metrics
	lookAgain time.Duration // between two looks at whether a position has members; another fraction of a second than they wait
}

func defaultPace() pace {
	return pace{
		watch: time.Second, verify: time.Second, idle: 10 * time.Second, grace: 2 * time.Second,
		keep: 10 * time.Second, positions: 10 * time.Second, lookAgain: 200 * time.Millisecond,
	}
}

// Notifier serves subscriptions to the events of one log.
type Notifier struct {
	eventpb.UnimplementedNotifierServer

	log      Log
	tokens   *account.Tokens
	listener net.Listener
	cert     *keypair.Pair // nil without TLS
	subs     *subscribers
	metrics  *metrics
	logger   *zap.Logger
	pace     pace
	state    atomic.Pointer[state]
	pumps    sync.WaitGroup // goroutines that read for subscriptions
}

// state says whether subscriptions are taken; err is nil if they are.
type state struct{ err error }

// New checks the options and listens. Connections wait until Run serves them; Run also closes the listener.
func New(o Options) (*Notifier, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	n := &Notifier{
		log:    o.Log,
		tokens: o.Tokens,
		subs:   newSubscribers(o.MaxSubscribers),
		logger: o.Logger,
		pace:   defaultPace(),
	}
	n.state.Store(&state{errors.New("notifier is not running")})
	if o.CertFile != "" {
		if n.cert, err = keypair.Load(o.CertFile, o.KeyFile, o.Logger); err != nil {
			return nil, err
		}
	}
	if n.listener, err = net.Listen("tcp", o.Addr); err != nil {
		return nil, err
	}
	if n.metrics, err = newMetrics(o.Registerer, n.subs); err != nil {
		return nil, errors.Join(err, n.listener.Close())
	}
	return n, nil
}

// Addr returns the address that the notifier listens on.
func (n *Notifier) Addr() net.Addr { return n.listener.Addr() }

// Ready reports why subscriptions are not taken now, or nil.
func (n *Notifier) Ready() error {
	if s := n.state.Load(); s.err != nil {
		return s.err
	}
	return n.log.Ready()
}

// Run serves until ctx ends. Then subscriptions end with UNAVAILABLE, those whose consumers don't read by closing their
// connections, within a few seconds.
func (n *Notifier) Run(ctx context.Context) error {
	n.warn()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, health := n.newServer(ctx)
	n.look(ctx, health)

	var running sync.WaitGroup
	running.Go(func() { n.watch(ctx, health) })
	running.Go(func() { n.watchPositions(ctx) })
	served := make(chan error, 1)
	running.Go(func() { served <- server.Serve(n.limited()) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		cancel()
	}
	health.Shutdown()
	n.stop(server)
	running.Wait()
	n.pumps.Wait()
	n.state.Store(&state{errors.New("notifier has stopped")})
	if err != nil {
		return fmt.Errorf("serve on %s: %w", n.Addr(), err)
	}
	return nil
}

// stop lets the streams end, then ends them. Handlers have ended when it returns.
func (n *Notifier) stop(server *grpc.Server) {
	hard := time.AfterFunc(n.pace.grace, server.Stop)
	defer hard.Stop()
	server.GracefulStop()
}

// servingStatus is how the health service is told; *health.Server has it.
type servingStatus interface{ serving(bool) }

// watch keeps the readiness and the lag up to date.
func (n *Notifier) watch(ctx context.Context, health servingStatus) {
	tick := time.NewTicker(n.pace.watch)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.look(ctx, health)
		case <-ctx.Done():
			return
		}
	}
}

// look asks the log once.
func (n *Notifier) look(ctx context.Context, health servingStatus) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	err := n.log.Ready()
	if err == nil {
		var last uint64
		if _, last, err = n.log.Bounds(ctx, event.Events); err == nil {
			n.metrics.lag.Set(float64(n.subs.lag(last)))
		}
	}
	before := n.state.Swap(&state{err})
	health.serving(err == nil)
	switch {
	case err == nil && before.err != nil:
		n.logger.Info("notifier takes subscriptions", zap.Stringer("addr", n.Addr()))
	case err != nil && before.err == nil && ctx.Err() == nil:
		n.logger.Warn("notifier takes no subscriptions: the log can't be read", zap.Error(err))
	}
}

// warn points out what is rarely meant.
func (n *Notifier) warn() {
	host, ok := n.Addr().(*net.TCPAddr)
	if !ok || host.IP.IsLoopback() {
		return
	}
	if n.tokens == nil {
		n.logger.Warn("whoever reaches the notifier may see every account's events: it asks for no token", zap.Stringer("addr", n.Addr()))
	}
	if n.tokens != nil && n.cert == nil {
		n.logger.Warn("tokens travel to the notifier in plain text: it has no certificate", zap.Stringer("addr", n.Addr()))
	}
}
