package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/zstats/zstats/pkg/bus"
	pb "github.com/zstats/zstats/pkg/event/stingestproto"
)

// lookupTimeout bounds one look at the log.
const lookupTimeout = 5 * time.Second

// pace holds the intervals; tests shorten them.
type pace struct {
	// keep is the time between two times that the log is told that events are being worked on. It must be well below the 30 s that
	// the log waits.
	keep time.Duration
	// leastPause and mostPause bound the wait of a gate that is shut, leastAgain and mostAgain that of one event. The latter may be
	// longer, so that an event that ends the service can't be what is tried first for ever.
	leastPause, mostPause, leastAgain, mostAgain time.Duration
	// reopen is the wait before the log is asked again, after an error of it.
	reopen time.Duration
	// grace is how long calls may still take when the pusher stops.
	grace time.Duration
}

func defaultPace() pace {
	return pace{
		keep: 10 * time.Second, leastPause: 250 * time.Millisecond, mostPause: 30 * time.Second,
		leastAgain: time.Second, mostAgain: time.Minute, reopen: time.Second, grace: 2 * time.Second,
	}
}

// Pusher calls the downstream service for each event.
type Pusher struct {
	o        Options
	pace     pace
	conn     *grpc.ClientConn
	service  pb.StatsIngestSvcClient
	gate     *gate
	held     *held
	metrics  *metrics
	failures *failures
	// sampled logs what may come for each event, without flooding.
	sampled *zap.Logger
}

// New checks the options. Run calls the service, and closes the connection at its end.
func New(o Options) (*Pusher, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Pusher{o: o, pace: defaultPace(), held: newHeld(o.Concurrency), sampled: o.Logger.WithOptions(zap.WrapCore(sample))}
	if p.failures, err = newFailures(o.Attempts); err != nil {
		return nil, err
	}
	if p.metrics, err = newMetrics(o.Registerer, p.held); err != nil {
		return nil, err
	}
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 10 * time.Second}
	connect.Backoff.MaxDelay = 5 * time.Second // the gate has pauses of its own
	// Pings are as rare as any server allows. What counts is the timeout, after which the system gives up a connection whose other
	// side no longer acknowledges what is sent: else calls would run into it for a quarter of an hour.
	alive := keepalive.ClientParameters{Time: 6 * time.Minute, Timeout: 20 * time.Second}
	transport := insecure.NewCredentials()
	if o.TLS != nil {
		transport = credentials.NewTLS(o.TLS)
	}
	p.conn, err = grpc.NewClient(o.Addr, grpc.WithTransportCredentials(transport), grpc.WithConnectParams(connect),
		grpc.WithKeepaliveParams(alive))
	if err != nil {
		return nil, err
	}
	p.service = pb.NewStatsIngestSvcClient(p.conn)
	return p, nil
}

// sample lets five messages of a kind through in ten seconds.
func sample(c zapcore.Core) zapcore.Core {
	return zapcore.NewSamplerWithOptions(c, 10*time.Second, 5, 0)
}

// Run calls the service for each event until ctx ends. Calls that are under way then may end, for two seconds; what was not taken
// goes back to the log.
func (p *Pusher) Run(ctx context.Context) error {
	p.gate = newGate(p.pace.leastPause, p.pace.mostPause, p.tellGate)
	for ctx.Err() == nil {
		err := p.session(ctx)
		if ctx.Err() != nil {
			break
		}
		p.sampled.Warn("pushing has paused and begins again", zap.Error(err))
		pause(ctx, p.pace.reopen)
	}
	return p.conn.Close()
}

// session pushes until the log fails or ctx ends, and returns when no call is under way.
func (p *Pusher) session(ctx context.Context) error {
	position, err := p.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	calls, end := p.callContext(ctx)
	var running sync.WaitGroup
	defer end()
	defer running.Wait()
	defer cancel()
	running.Go(func() { p.keep(ctx, position) })
	for {
		n := p.gate.pass(ctx, p.held.wait(ctx))
		if n == 0 {
			return ctx.Err()
		}
		err := position.Pull(ctx, n, func(d bus.Delivered) {
			if p.held.hold(d) {
				running.Go(func() { p.push(calls, d) })
			}
		})
		if err != nil {
			return err
		}
	}
}

// callContext returns the context of calls: it outlasts ctx by the grace.
func (p *Pusher) callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	calls, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { pause(calls, p.pace.grace); end() })
	return calls, func() { stop(); end() }
}

// keep tells the log that calls are under way, and looks for events that were missed, until ctx ends.
func (p *Pusher) keep(ctx context.Context, position *bus.Position) {
	tick := time.NewTicker(p.pace.keep)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := errors.Join(p.held.keep(), p.missed(ctx, position))
		if err != nil && ctx.Err() == nil {
			p.sampled.Warn("the log can't be told how far pushing has come", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// tellGate logs that the service takes nothing, or takes events again.
func (p *Pusher) tellGate(open bool, why error) {
	addr := zap.String("addr", p.o.Addr)
	if open {
		p.metrics.up.Set(1)
		p.o.Logger.Info("the downstream service takes events again", addr)
		return
	}
	p.metrics.up.Set(0)
	p.o.Logger.Warn("the downstream service takes no events; they wait in the log", addr, zap.Error(why))
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
