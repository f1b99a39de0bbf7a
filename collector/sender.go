package collector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// sender delivers the queue's blobs. One request is in flight at a time, and a batch is kept until every blob in it has
// found its end, so the blobs of a target arrive in order.
type sender struct {
	queue      *queue
	client     *client
	batchBytes int64
	// poll is called with the least time between two scrapes of a target that a reply asks for.
	poll    func(target string, least time.Duration)
	ledger  Ledger // may be nil
	metrics *metrics
	log     *zap.Logger

	// stored has, for each target, the generation that the server has stored last. A difference to any other generation is
	// of no use to it.
	stored map[string]int64
	// limit is the largest number of blobs in a request; less than a batch after a request was refused.
	limit   int
	backoff backoff
	faults  throttle
}

// maxRefusals is how often the server may refuse a blob that it should take, before the blob is given up: ask for the full
// form when it has just got it, or refuse the request that holds nothing else.
const maxRefusals = 5

// run sends until stop is closed and the queue is empty, or until ctx ends. It returns what it took and could not
// deliver.
func (s *sender) run(ctx context.Context, stop <-chan struct{}) (undelivered []*pending) {
	for {
		stopping := !s.await(stop)
		batch := s.queue.take(s.batchBytes)
		if len(batch) == 0 && stopping {
			return nil
		}
		if undelivered = s.deliver(ctx, stop, batch); len(undelivered) > 0 {
			return undelivered
		}
	}
}

// await waits until something is to be taken. It returns false if stop is closed.
func (s *sender) await(stop <-chan struct{}) bool {
	for {
		var timer <-chan time.Time
		if wait, ok := s.queue.due(time.Now()); ok && wait <= 0 {
			return !closed(stop)
		} else if ok {
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-s.queue.wake:
		case <-stop:
			return false
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// deliver sends a batch until the server has answered for each blob, or ctx ends; then it returns what is left.
func (s *sender) deliver(ctx context.Context, stop <-chan struct{}, batch []*pending) []*pending {
	for len(batch) > 0 && ctx.Err() == nil {
		s.chooseForms(batch)
		n := prefix(batch, s.limit, s.batchBytes)
		rest, err := s.round(ctx, batch[:n])
		if err == nil {
			s.recovered()
			batch = append(rest, batch[n:]...)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		batch = append(s.afterFailure(ctx, err, rest), batch[n:]...)
		s.queue.secure(batch, time.Now())
		s.pause(ctx, stop, err)
	}
	return batch
}

// chooseForms decides which blobs go in their full form: those that do not follow what the server has, or will have from
// this request.
func (s *sender) chooseForms(batch []*pending) {
	ahead := make(map[string]int64)
	for _, p := range batch {
		last, ok := ahead[p.target]
		if !ok {
			last, ok = s.stored[p.target]
		}
		if !p.full && (!ok || p.scrape.Generation != last+1) {
			p.full, p.why = true, reasonGap
			s.metrics.full(reasonGap)
		}
		ahead[p.target] = p.scrape.Generation
	}
}

// round sends blobs in one request. It returns those that are to be sent again, all of them beside an error.
func (s *sender) round(ctx context.Context, blobs []*pending) ([]*pending, error) {
	instances := make([]zstatsv1.Instance, len(blobs))
	full := 0
	for i, p := range blobs {
		instances[i] = zstatsv1.InstanceOf(p.target, p.blob())
		if p.full {
			full++
		}
	}
	s.metrics.sent(formFull, full)
	s.metrics.sent(formIncremental, len(blobs)-full)
	failpoint.Hit("collector.send.before")
	s.noteSent(blobs)
	response, err := s.client.send(ctx, instances)
	if err != nil {
		return blobs, err
	}
	s.noteAnswered(blobs, response.IErrCodes)
	failpoint.Hit("collector.send.after")
	least := time.Duration(max(response.MinPollSecs, 0)) * time.Second
	for _, p := range blobs {
		s.poll(p.target, least)
	}
	return s.settle(blobs, response.IErrCodes)
}

func (s *sender) noteSent(blobs []*pending) {
	if s.ledger == nil {
		return
	}
	for _, p := range blobs {
		s.ledger.Sent(p.target, p.schema.Schema, p.scrape)
	}
}

func (s *sender) noteAnswered(blobs []*pending, codes []int8) {
	if s.ledger == nil {
		return
	}
	for i, p := range blobs {
		s.ledger.Answered(p.target, p.scrape.Generation, codes[i])
	}
}

// settle does what the codes say, and returns the blobs that the server wants in their full form. The error tells that it
// has just got them so.
func (s *sender) settle(blobs []*pending, codes []int8) (again []*pending, err error) {
	again = blobs[:0]
	asked := make(map[string]bool)
	for i, p := range blobs {
		switch codes[i] {
		case zstatsv1.CodeStored:
			s.stored[p.target] = p.scrape.Generation
			s.metrics.stored.Inc()
			s.queue.release(p)
			failpoint.Hit("collector.settled")
		case zstatsv1.CodeSendFull:
			// Behind a blob that is to be sent again, the target's others are too, whatever their form.
			if p.full && !asked[p.target] {
				p.refusals++
				err = errNotEnough
			}
			asked[p.target] = true
			if p.refusals >= maxRefusals {
				s.drop(p, dropResend)
				continue
			}
			s.makeFull(p)
			again = append(again, p)
		default:
			s.drop(p, dropFailed)
		}
	}
	return again, err
}

// errNotEnough makes the sender pause before it sends the same once more.
var errNotEnough = &sendError{answer: answerUnavailable, err: errors.New("the server asks for full blobs that it has just got")}

func (s *sender) makeFull(p *pending) {
	if !p.full {
		p.full, p.why = true, reasonResend
		s.metrics.full(reasonResend)
	}
}

func (s *sender) drop(p *pending, why cause) {
	s.metrics.drop(why, 1)
	s.log.Error("a blob is given up", zap.String("reason", string(why)), zap.String("target", p.target),
		zap.Int64("generation", p.scrape.Generation), zap.Time("scraped", time.UnixMilli(p.scrape.Time)))
	s.queue.release(p)
}

// afterFailure looks for the blob to blame for a refused request, and returns the blobs that are to be sent again.
//
// It sends fewer and fewer blobs at a time. If one alone is refused again and again while the server is healthy otherwise,
// that blob will never be accepted, and is dropped so that the others don't wait for ever.
func (s *sender) afterFailure(ctx context.Context, err error, blobs []*pending) []*pending {
	failure, ok := errors.AsType[*sendError](err)
	switch {
	case !ok || failure.answer != answerRefused:
	case len(blobs) > 1:
		s.limit = (len(blobs) + 1) / 2
	case s.healthy(ctx):
		if blobs[0].refusals++; blobs[0].refusals >= maxRefusals {
			s.drop(blobs[0], dropRefused)
			return nil
		}
	}
	return blobs
}

// healthy asks the server for its health (zstats v1, section 7).
func (s *sender) healthy(ctx context.Context) bool {
	_, err := s.client.send(ctx, nil)
	return err == nil
}

// recovered ends what a failure has begun.
func (s *sender) recovered() {
	if s.backoff.attempts > 0 {
		s.log.Info("the server takes blobs again", zap.Int("attempts", s.backoff.attempts))
	}
	s.backoff = backoff{}
	s.faults.reset()
	s.limit = min(2*s.limit, s.queue.batch)
}

// pause reports a failure and waits before the next attempt. It ends early when the collector begins to stop.
func (s *sender) pause(ctx context.Context, stop <-chan struct{}, err error) {
	failure, _ := errors.AsType[*sendError](err)
	wait := s.backoff.next()
	if failure != nil {
		wait = max(wait, failure.after)
	}
	s.report(err, failure, wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	if closed(stop) {
		stop = nil
	}
	select {
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
	}
}

func (s *sender) report(err error, failure *sendError, wait time.Duration) {
	held, ok := s.faults.allow(time.Now())
	if !ok {
		return
	}
	fields := []zap.Field{
		zap.Error(err), zap.Int("attempts", s.backoff.attempts), zap.Duration("wait", wait),
		zap.Int("waiting", s.queue.stats().blobs), zap.Int("suppressed", held),
	}
	if failure != nil && failure.answer == answerUnauthorized {
		s.log.Error("the server does not accept the token. Nothing is delivered until it does; what waits is kept as long as there is room", fields...)
		return
	}
	s.log.Warn("the server did not take a request; it is sent again", fields...)
}

// backoff counts attempts that failed one after another.
type backoff struct{ attempts int }

// next returns how long to wait after one more: from half a second, doubling, to half a minute, and of that a random part
// between a half and the whole, so that collectors do not come back all at once.
func (b *backoff) next() time.Duration {
	const first, most = time.Second, 30 * time.Second
	wait := most
	if b.attempts < 5 {
		wait = min(most, first<<b.attempts)
	}
	b.attempts++
	return wait/2 + rand.N(wait/2)
}
