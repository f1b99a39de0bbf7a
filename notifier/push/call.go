package push

import (
	"context"
	"errors"
	"path"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	pb "github.com/zstats/zstats/pkg/event/stingestproto"
)

// push calls the service for one event, and acknowledges it or gives it back.
func (p *Pusher) push(ctx context.Context, d bus.Delivered) {
	done := p.call(ctx, d)
	d = p.held.drop(d.Sequence)
	var err error
	if done {
		err = d.Ack()
	} else {
		err = d.Return(p.again(d.Attempt))
	}
	if err != nil { // it comes again all the same
		p.sampled.Warn("the log can't be told what became of an event", zap.Uint64("sequence", d.Sequence), zap.Error(err))
	}
}

// call calls the service for one event. It reports whether nothing is left to do for it.
func (p *Pusher) call(ctx context.Context, d bus.Delivered) (done bool) {
	e := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(d.Data, e); err != nil {
		p.metrics.undecodable.Inc()
		p.o.Logger.Error("an event can't be decoded and is left aside", zap.Uint64("sequence", d.Sequence), zap.Error(err))
		return true
	}
	round, ok := p.gate.enter()
	if !ok {
		return false
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	o, why := judge(p.service.Ingest(ctx, p.request(e)))
	if o != taken && errors.Is(ctx.Err(), context.Canceled) {
		p.gate.leave(round)
		return false // this process stops
	}
	o = p.failures.judge(d.Sequence, o)
	p.metrics.seconds.Observe(time.Since(start).Seconds())
	p.metrics.calls.WithLabelValues(o.String()).Inc()
	switch {
	case o == unavailable:
		p.gate.shut(round, why)
	case status.Code(why) == codes.DeadlineExceeded:
		p.gate.leave(round)
	default:
		p.gate.open(round)
	}
	p.tell(o, why, d, e)
	return o.done()
}

// tell logs what was not taken.
func (p *Pusher) tell(o outcome, why error, d bus.Delivered, e *eventpb.ScrapeWritten) {
	fields := []zap.Field{
		zap.String("account", e.GetAccount()), zap.String("target", e.GetTarget()), zap.String("file", e.GetDataPath()),
		zap.Uint64("attempt", d.Attempt), zap.Error(why),
	}
	switch o {
	case refused:
		p.sampled.Error("the downstream service refuses an event, which is left aside", fields...)
	case givenUp:
		p.sampled.Error("the downstream service fails to take an event time and again, and takes others; it is left aside", fields...)
	case failed:
		p.sampled.Warn("the downstream service failed to take an event, which comes again", fields...)
	}
}

// request is what the service is told of a scrape. Status and Epoch are left out, as the older server did.
func (p *Pusher) request(e *eventpb.ScrapeWritten) *pb.StatsIngestRequest {
	return &pb.StatsIngestRequest{
		Account: e.GetAccount(), InstanceId: e.GetInstanceId(), Type: e.GetType(), DTs: e.GetDefaultTimestampMs(),
		DFpath: path.Join(p.o.Root, e.GetDataPath()), MFpath: path.Join(p.o.Root, e.GetMetadataPath()),
	}
}

// again is how long an event waits after an attempt, counted from 1.
func (p *Pusher) again(attempt uint64) time.Duration {
	wait := p.pace.leastAgain
	for ; attempt > 1 && wait < p.pace.mostAgain; attempt-- {
		wait *= 2
	}
	return min(wait, p.pace.mostAgain)
}
