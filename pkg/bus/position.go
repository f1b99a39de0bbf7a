package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
)

const (
	// ackWait is when events come again whose member vanished together with its notifier.
	ackWait = 30 * time.Second
	// maxUnacked bounds the events of one position that are delivered and not acknowledged, of all its members together.
	maxUnacked = 20_000
	// pullWait is how long one pull waits. A member that leaves in the middle gives back what still arrives until then.
	pullWait = time.Second
	// maxPositions bounds the positions of a log, and maxOwned those of one account's tokens: each costs the server memory and a
	// file, and lives until somebody removes it.
	maxPositions, maxOwned = 1000, 100
)

// Entries of a consumer's metadata.
const (
	positionName    = "zstats-position"
	positionAccount = "zstats-owner-account"
	positionSource  = "zstats-owner-source"
	positionFilter  = "zstats-account"
	positionTarget  = "zstats-target"
)

// PositionKey names a position.
type PositionKey struct {
	Name string
	// Account and Source are the owner's; empty where no tokens are asked for.
	Account, Source string
}

// consumer is the name of the position's durable consumer.
func (k PositionKey) consumer() string {
	sum := sha256.Sum256([]byte(strconv.Quote(k.Account) + strconv.Quote(k.Source) + strconv.Quote(k.Name)))
	return "position-" + hex.EncodeToString(sum[:16])
}

// PositionSpec says what a position selects.
type PositionSpec struct {
	PositionKey
	// FilterAccount selects an account's events, or all if empty. Target is not looked at here, only kept.
	FilterAccount, Target string
	// From is the first sequence of a new position. What is gone of it already is its first gap.
	From uint64
	// Unbounded: it doesn't matter how many positions there are.
	Unbounded bool
}

// Errors of positions.
var (
	// ErrOther: the position exists and selects something else.
	ErrOther = errors.New("the position selects other events")
	// ErrTooMany: there are as many positions as may be.
	ErrTooMany = errors.New("there are as many named positions as may be")
	// ErrRemoved: somebody has removed the position.
	ErrRemoved = errors.New("the position was removed")
)

// Position is a named place in EVENTS that outlasts processes: a durable consumer with explicit acknowledgement.
type Position struct {
	Created  bool
	bus      *Bus
	stream   jetstream.Stream
	consumer jetstream.Consumer
}

// Delivered is an event given to one member of a position.
type Delivered struct {
	Message
	// Attempt counts deliveries of the event, from 1.
	Attempt uint64
	msg     jetstream.Msg
}

// Ack marks the event as done. A lost acknowledgement lets the event come again.
func (d Delivered) Ack() error { return d.msg.Ack() }

// Keep tells the log that the event is being worked on.
func (d Delivered) Keep() error { return d.msg.InProgress() }

// Return gives the event back, to be delivered again after a time.
func (d Delivered) Return(after time.Duration) error {
	if after <= 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(after)
}

// OpenPosition returns a position, which it makes if it isn't there. It is an ErrOther if it is there and selects other events.
func (b *Bus) OpenPosition(ctx context.Context, spec PositionSpec) (*Position, error) {
	s, err := b.stream(ctx, event.Events)
	if err != nil {
		return nil, err
	}
	c, err := s.Consumer(ctx, spec.consumer())
	created := errors.Is(err, jetstream.ErrConsumerNotFound)
	if created {
		c, created, err = b.createPosition(ctx, s, spec)
	}
	if err != nil {
		return nil, fmt.Errorf("position %s: %w", spec.Name, err)
	}
	have := c.CachedInfo().Config.Metadata
	if have[positionFilter] != spec.FilterAccount || have[positionTarget] != spec.Target {
		return nil, fmt.Errorf("%w: account %q and target %q", ErrOther, have[positionFilter], have[positionTarget])
	}
	return &Position{Created: created, bus: b, stream: s, consumer: c}, nil
}

// createPosition makes a position that wasn't there. It reports whether it is this call that made it.
func (b *Bus) createPosition(ctx context.Context, s jetstream.Stream, spec PositionSpec) (jetstream.Consumer, bool, error) {
	// Read before it is certain that there is no position, so that it can't be one's that others are making.
	have, revision, err := b.gapAt(ctx, spec.consumer())
	if err != nil {
		return nil, false, err
	}
	all, err := positionsOf(ctx, s)
	if err != nil {
		return nil, false, err
	}
	if !contains(all, spec.PositionKey) {
		if !spec.Unbounded && (len(all) >= maxPositions || spec.Account != "" && ownedBy(all, spec.Account) >= maxOwned) {
			return nil, false, ErrTooMany
		}
		if err := b.beginGap(ctx, s, spec, have, revision); err != nil {
			return nil, false, err
		}
		c, err := s.CreateConsumer(ctx, spec.config())
		if !errors.Is(err, jetstream.ErrConsumerExists) {
			return c, true, err
		}
		// Of two that make it at once, the second is told that there is one, with another start.
	}
	c, err := s.Consumer(ctx, spec.consumer())
	return c, false, err
}

func (s PositionSpec) config() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: s.consumer(), FilterSubject: event.EventFilter(s.FilterAccount),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: maxUnacked, MaxDeliver: -1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(s.From, 1),
		Metadata: map[string]string{
			positionName: s.Name, positionAccount: s.Account, positionSource: s.Source,
			positionFilter: s.FilterAccount, positionTarget: s.Target,
		},
	}
}

// Pull calls take with up to n events as they come, for a second at most. Events are durable when they are taken. It does not end
// early, lest events are lost to this member until ackWait has passed; once ctx has ended, what still comes is given back. It is an
// ErrRemoved once the position is gone.
func (p *Position) Pull(ctx context.Context, n int, take func(Delivered)) error {
	bound, l, release, err := p.bus.bind(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer release()
	batch, err := p.consumer.Fetch(n, jetstream.FetchMaxWait(pullWait))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err == nil {
			err = p.bus.durable(bound, l, p.stream, meta.Sequence.Stream)
		}
		if err != nil {
			return err
		}
		d := Delivered{
			Message: Message{Subject: m.Subject(), Data: m.Data(), Sequence: meta.Sequence.Stream},
			Attempt: meta.NumDelivered, msg: m,
		}
		if ctx.Err() != nil {
			_ = d.Return(0) // lost, it comes again all the same, only later
			continue
		}
		take(d)
	}
	return p.pulled(bound, batch.Error())
}

// pulled explains the error of a pull. Of a position that was removed before the pull, nobody answers; that may have other reasons.
func (p *Position) pulled(ctx context.Context, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		_, found := p.stream.Consumer(ctx, p.consumer.CachedInfo().Name)
		if errors.Is(found, jetstream.ErrConsumerNotFound) {
			err = found
		}
	}
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return ErrRemoved
	}
	return err
}

// PositionState is how far a position has come.
type PositionState struct {
	PositionSpec
	// Acked is the sequence up to which all is acknowledged or not selected.
	Acked uint64
	// Pending events are not delivered yet, Unacked ones delivered and not acknowledged.
	Pending, Unacked uint64
	// Oldest is when the first event was stored that is not acknowledged; zero if there is none.
	Oldest time.Time
	// Waiting members wait for events.
	Waiting int
	// Gap is what was removed before it was acknowledged; zero if nothing was, or that was acknowledged.
	Gap Gap
}

// Positions returns all named positions.
func (b *Bus) Positions(ctx context.Context) (all []PositionState, err error) {
	err = b.asking(ctx, func(ctx context.Context) error {
		all, err = b.positions(ctx)
		return err
	})
	return all, err
}

func (b *Bus) positions(ctx context.Context) ([]PositionState, error) {
	s, err := b.stream(ctx, event.Events)
	if err != nil {
		return nil, err
	}
	infos, err := positionsOf(ctx, s)
	if err != nil {
		return nil, err
	}
	gaps, err := b.allGaps(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]PositionState, len(infos))
	for i, info := range infos {
		p := stateOf(info)
		p.Gap = gaps[info.Name]
		if p.Pending+p.Unacked > 0 {
			first, err := b.find(ctx, event.Events, info.Config.FilterSubject, p.Acked+1)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("position %s: %w", p.Name, err)
			}
			p.Oldest = first.Stored
		}
		out[i] = p
	}
	return out, nil
}

// positionsOf returns the consumers that are positions.
func positionsOf(ctx context.Context, s jetstream.Stream) (all []*jetstream.ConsumerInfo, err error) {
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Metadata[positionName] != "" {
			all = append(all, info)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	return all, nil
}

func contains(all []*jetstream.ConsumerInfo, k PositionKey) bool {
	return slices.ContainsFunc(all, func(info *jetstream.ConsumerInfo) bool { return info.Name == k.consumer() })
}

// ownedBy counts the positions of an account's tokens.
func ownedBy(all []*jetstream.ConsumerInfo, account string) (n int) {
	for _, info := range all {
		if info.Config.Metadata[positionAccount] == account {
			n++
		}
	}
	return n
}

func stateOf(info *jetstream.ConsumerInfo) PositionState {
	meta := info.Config.Metadata
	return PositionState{
		PositionSpec: PositionSpec{
			PositionKey:   PositionKey{meta[positionName], meta[positionAccount], meta[positionSource]},
			FilterAccount: meta[positionFilter], Target: meta[positionTarget], From: info.Config.OptStartSeq,
		},
		Acked: ackFloor(info), Pending: info.NumPending, Unacked: uint64(info.NumAckPending), Waiting: info.NumWaiting,
	}
}

// RemovePosition forgets a position. It is an ErrNotFound if there is none.
func (b *Bus) RemovePosition(ctx context.Context, k PositionKey) error {
	s, err := b.stream(ctx, event.Events)
	if err != nil {
		return err
	}
	_, revision, err := b.gapAt(ctx, k.consumer())
	if err != nil {
		return fmt.Errorf("position %s: %w", k.Name, err)
	}
	err = s.DeleteConsumer(ctx, k.consumer())
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("position %s: %w", k.Name, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("position %s: %w", k.Name, err)
	}
	return b.forgetGap(ctx, k.consumer(), revision)
}
