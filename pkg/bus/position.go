package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	// From is the first sequence of a new position.
	From uint64
}

// ErrOther: the position exists and selects something else.
var ErrOther = errors.New("the position selects other events")

// Position is a named place in EVENTS that outlasts processes: a durable consumer with explicit acknowledgement.
type Position struct {
	Created  bool
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
		// Of two that make it at once, the second is told that there is one, with another start.
		c, err = s.CreateConsumer(ctx, spec.config())
		if errors.Is(err, jetstream.ErrConsumerExists) {
			created = false
			c, err = s.Consumer(ctx, spec.consumer())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("position %s: %w", spec.Name, err)
	}
	have := c.CachedInfo().Config.Metadata
	if have[positionFilter] != spec.FilterAccount || have[positionTarget] != spec.Target {
		return nil, fmt.Errorf("%w: account %q and target %q", ErrOther, have[positionFilter], have[positionTarget])
	}
	return &Position{Created: created, consumer: c}, nil
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

// Pull calls take with up to n events as they come, for a second at most. It does not end early, lest events are lost to this
// member until ackWait has passed.
func (p *Position) Pull(n int, take func(Delivered)) error {
	batch, err := p.consumer.Fetch(n, jetstream.FetchMaxWait(pullWait))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		take(Delivered{
			Message: Message{Subject: m.Subject(), Data: m.Data(), Sequence: meta.Sequence.Stream},
			Attempt: meta.NumDelivered, msg: m,
		})
	}
	return batch.Error()
}

// PositionState is how far a position has come.
type PositionState struct {
	PositionSpec
	// Acked is the sequence up to which all is acknowledged or not selected.
	Acked uint64
	// Pending events are not delivered yet, Unacked ones delivered and not acknowledged.
	Pending, Unacked uint64
	// Waiting members wait for events.
	Waiting int
}

// Positions returns all named positions.
func (b *Bus) Positions(ctx context.Context) ([]PositionState, error) {
	s, err := b.stream(ctx, event.Events)
	if err != nil {
		return nil, err
	}
	var out []PositionState
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if meta := info.Config.Metadata; meta[positionName] != "" {
			out = append(out, PositionState{
				PositionSpec: PositionSpec{
					PositionKey:   PositionKey{meta[positionName], meta[positionAccount], meta[positionSource]},
					FilterAccount: meta[positionFilter], Target: meta[positionTarget], From: info.Config.OptStartSeq,
				},
				Acked: info.AckFloor.Stream, Pending: info.NumPending, Unacked: uint64(info.NumAckPending), Waiting: info.NumWaiting,
			})
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	return out, nil
}

// RemovePosition forgets a position. It is an ErrNotFound if there is none.
func (b *Bus) RemovePosition(ctx context.Context, k PositionKey) error {
	s, err := b.stream(ctx, event.Events)
	if err != nil {
		return err
	}
	err = s.DeleteConsumer(ctx, k.consumer())
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("position %s: %w", k.Name, ErrNotFound)
	}
	return err
}
