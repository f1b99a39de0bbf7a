package notifier

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

const (
	defaultInFlight, maxInFlight     = 100, 1000
	defaultAckTimeout, maxAckTimeout = 5 * time.Minute, time.Hour
)

// Consume implements the service's method of that name.
func (n *Notifier) Consume(stream grpc.BidiStreamingServer[eventpb.ConsumeRequest, eventpb.ConsumeResponse]) error {
	ctx := stream.Context()
	grant, err := n.grant(ctx)
	if err != nil {
		return err
	}
	place, err := n.subs.add()
	if err != nil {
		return err
	}
	defer n.subs.remove(place)
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	m, created, err := n.openMember(ctx, first.GetOpen(), grant)
	if err != nil {
		return err
	}
	m.send = stream.Send
	opened := &eventpb.Opened{Created: created}
	if err := stream.Send(&eventpb.ConsumeResponse{Message: &eventpb.ConsumeResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// These two end with the stream, which ends when this method returns: both may wait for the consumer.
	n.pumps.Go(func() { cancel(m.receive(stream)) })
	n.pumps.Go(func() {
		cancel(n.caught(eventpb.Notifier_Consume_FullMethodName, func() error { return m.run(ctx) }))
	})
	var working sync.WaitGroup
	working.Go(func() { cancel(m.pull(ctx)) })
	working.Go(func() { cancel(m.keep(ctx)) })
	working.Wait() // a stream that has ended neither waits for events nor holds any
	return endOf(context.Cause(ctx))
}

// openMember checks a request and opens the position that it asks for.
func (n *Notifier) openMember(ctx context.Context, r *eventpb.OpenPosition, g account.Grant) (*member, bool, error) {
	if r == nil {
		return nil, false, status.Error(codes.InvalidArgument, "the first request must be open")
	}
	if !validName(r.GetName()) {
		return nil, false, status.Error(codes.InvalidArgument, "name: want 1 to 64 letters, digits, '-', '_' and '.'")
	}
	if r.GetMaxInFlight() > maxInFlight {
		return nil, false, status.Errorf(codes.InvalidArgument, "max_in_flight is %d, more than %d", r.GetMaxInFlight(), maxInFlight)
	}
	timeout := time.Duration(r.GetAckTimeoutMs()) * time.Millisecond
	if timeout > maxAckTimeout {
		return nil, false, status.Errorf(codes.InvalidArgument, "ack_timeout_ms is %d, more than an hour", r.GetAckTimeoutMs())
	}
	like := &eventpb.SubscribeRequest{Account: r.GetAccount(), Target: r.GetTarget()}
	switch from := r.GetFrom().(type) {
	case *eventpb.OpenPosition_FromSequence:
		like.From = &eventpb.SubscribeRequest_FromSequence{FromSequence: from.FromSequence}
	case *eventpb.OpenPosition_FromTimeUs:
		like.From = &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: from.FromTimeUs}
	}
	f, err := newFilter(like, g)
	if err != nil {
		return nil, false, err
	}
	if err := n.log.Ready(); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	s, err := n.findStart(ctx, like, time.Now())
	if err != nil {
		return nil, false, err
	}
	p, err := n.log.OpenPosition(ctx, bus.PositionSpec{
		PositionKey:   bus.PositionKey{Name: r.GetName(), Account: g.Account, Source: g.Source},
		FilterAccount: f.account, Target: r.GetTarget(), From: s.from,
	})
	if errors.Is(err, bus.ErrOther) {
		return nil, false, status.Errorf(codes.FailedPrecondition, "position %s: %v: ask for the same, or take another name", r.GetName(), err)
	}
	if errors.Is(err, bus.ErrTooMany) {
		return nil, false, status.Errorf(codes.ResourceExhausted, "%v: remove some that nobody needs", err)
	}
	if err != nil {
		return nil, false, err
	}
	m := &member{
		position: p, filter: f, metrics: n.metrics, logger: n.logger, limit: int(r.GetMaxInFlight()), timeout: timeout, keepEvery: n.pace.keep,
		in: make(chan bus.Delivered, maxInFlight), held: make(map[uint64]holding), told: make(map[uint64]bool), room: make(chan struct{}, 1),
	}
	if m.limit == 0 {
		m.limit = defaultInFlight
	}
	if m.timeout == 0 {
		m.timeout = defaultAckTimeout
	}
	return m, p.Created, nil
}

func validName(s string) bool {
	return 1 <= len(s) && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) < 0
}

// member is one stream of a position.
type member struct {
	position *bus.Position
	filter   filter
	metrics  *metrics
	logger   *zap.Logger
	send     func(*eventpb.ConsumeResponse) error
	limit    int
	timeout  time.Duration
	// keepEvery is how often the log is told that events are being worked on; it waits for ackWait of package bus.
	keepEvery time.Duration
	in        chan bus.Delivered
	room      chan struct{} // something was acknowledged

	mu    sync.Mutex // guards what follows
	held  map[uint64]holding
	told  map[uint64]bool // the last sequences of gaps that were told
	ended bool
}

// holding is an event that the member has not acknowledged.
type holding struct {
	bus.Delivered
	since time.Time
}

// pull fetches events until ctx ends, never more than the member may hold, and gives back what it holds then.
func (m *member) pull(ctx context.Context) (err error) {
	for err == nil && ctx.Err() == nil {
		free := m.free()
		if free == 0 {
			select {
			case <-m.room:
			case <-ctx.Done():
			}
			continue
		}
		err = m.position.Pull(ctx, free, func(d bus.Delivered) { m.take(ctx, d) })
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	for _, h := range m.held {
		_ = h.Return(0) // lost, it comes again all the same, only later
	}
	return err
}

func (m *member) free() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.limit-len(m.held), 0)
}

// take holds an event and hands it on; there is room for all that may be held.
func (m *member) take(ctx context.Context, d bus.Delivered) {
	m.mu.Lock()
	m.held[d.Sequence] = holding{d, time.Now()}
	m.mu.Unlock()
	select {
	case m.in <- d:
	case <-ctx.Done():
	}
}

// receive takes acknowledgements until the stream ends.
func (m *member) receive(stream grpc.BidiStreamingServer[eventpb.ConsumeRequest, eventpb.ConsumeResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err // io.EOF: the consumer is done
		}
		if r.GetAck() == nil {
			return status.Error(codes.InvalidArgument, "every request but the first must be ack")
		}
		for _, sequence := range r.GetAck().GetSequences() {
			held, err := m.ack(sequence)
			if err == nil && !held { // one sequence may be an event's and a gap's: each wants its own acknowledgement
				err = m.ackGap(stream.Context(), sequence)
			}
			if err != nil {
				return err
			}
		}
	}
}

// ack acknowledges an event. It reports whether the member held it.
func (m *member) ack(sequence uint64) (held bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.held[sequence]
	if !ok || m.ended {
		return ok, nil
	}
	if err := h.Ack(); err != nil {
		return true, err
	}
	delete(m.held, sequence)
	select {
	case m.room <- struct{}{}:
	default:
	}
	return true, nil
}

// run sends events, and what was missed, until ctx ends. It may wait for a consumer that doesn't read, until the stream ends.
func (m *member) run(ctx context.Context) error {
	look := time.NewTicker(m.keepEvery)
	defer look.Stop()
	err := m.tellGap(ctx)
	for err == nil {
		select {
		case d := <-m.in:
			err = m.deliver(d)
		case <-look.C:
			err = m.tellGap(ctx)
		case <-ctx.Done():
			return nil
		}
	}
	return err
}

// keep tells the log that what is held is being worked on, until ctx ends or something is held for too long. It waits for nobody, so
// that a consumer that doesn't read loses no event to others before its time.
func (m *member) keep(ctx context.Context) error {
	tick := time.NewTicker(min(m.keepEvery, m.timeout))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if err := m.keepHeld(now); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *member) keepHeld(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for sequence, h := range m.held {
		if now.Sub(h.since) > m.timeout {
			return status.Errorf(codes.DeadlineExceeded, "the event with sequence %d was not acknowledged within %s", sequence, m.timeout)
		}
		if err := h.Keep(); err != nil {
			return err
		}
	}
	return nil
}

// deliver sends an event, if it matches; others are acknowledged, as is what nobody can read.
func (m *member) deliver(d bus.Delivered) error {
	e := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(d.Data, e); err != nil {
		m.metrics.undecodable.Inc()
		m.logger.Error("an event can't be decoded; the position leaves it aside", zap.Uint64("sequence", d.Sequence), zap.Error(err))
		return m.leave(d)
	}
	if !m.filter.match(e) {
		return m.leave(d)
	}
	e.Sequence = d.Sequence
	m.metrics.events.Inc()
	out := &eventpb.Delivery{Event: e, Attempt: uint32(d.Attempt)}
	return m.send(&eventpb.ConsumeResponse{Message: &eventpb.ConsumeResponse_Delivery{Delivery: out}})
}

// leave acknowledges an event that is not sent.
func (m *member) leave(d bus.Delivered) error {
	_, err := m.ack(d.Sequence)
	return err
}
