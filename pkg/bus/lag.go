package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Lag is what a stage has still to do of a partition.
type Lag struct {
	// Messages that are not done.
	Messages uint64
	// First is the sequence of the oldest of them and Stored when it came into the stream; zero if there is none.
	First  uint64
	Stored time.Time
}

// Behind returns how many messages on a subject, which may have wildcards, a stream keeps behind a sequence.
func (b *Bus) Behind(ctx context.Context, stream, subject string, sequence uint64) (uint64, error) {
	l, err := b.lag(ctx, stream, subject, sequence)
	return l.Messages, err
}

// fewMessages is how many messages are counted one by one. A stage that keeps up has seldom more before it, and to look at them is
// cheaper than a consumer, which a cluster has to agree on.
const fewMessages = 4

// lag counts the messages on a subject behind a sequence.
func (b *Bus) lag(ctx context.Context, stream, subject string, sequence uint64) (Lag, error) {
	var l Lag
	for l.Messages < fewMessages {
		m, err := b.Find(ctx, stream, subject, sequence+1)
		if errors.Is(err, ErrNotFound) {
			return l, nil
		}
		if err != nil {
			return Lag{}, err
		}
		if l.Messages == 0 {
			l.First, l.Stored = m.Sequence, m.Stored
		}
		l.Messages++
		sequence = m.Sequence
	}
	more, err := b.countBehind(ctx, stream, subject, sequence)
	l.Messages += more
	return l, err
}

// countBehind has the server count, by a consumer that nothing is read from.
func (b *Bus) countBehind(ctx context.Context, stream, subject string, sequence uint64) (uint64, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	consumer, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: sequence + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return 0, fmt.Errorf("count messages of %s: %w", stream, err)
	}
	info := consumer.CachedInfo()
	if err := s.DeleteConsumer(ctx, info.Name); err != nil {
		return 0, fmt.Errorf("count messages of %s: %w", stream, err)
	}
	return info.NumPending, nil
}

// lagMeter measures the lag of partitions again and again. It remembers up to where it has found nothing, so that an idle
// partition costs no request at all while its stream rests, and never a search through what was searched before. It is for one
// goroutine.
type lagMeter struct {
	bus   *Bus
	stage Stage
	empty map[int]uint64 // up to this sequence there is nothing behind what was done
}

func newLagMeter(b *Bus, stage Stage) *lagMeter {
	return &lagMeter{bus: b, stage: stage, empty: make(map[int]uint64)}
}

// end returns the sequence of the last message of the input.
func (m *lagMeter) end(ctx context.Context) (uint64, error) {
	_, end, err := m.bus.Bounds(ctx, m.stage.Input)
	return end, err
}

// measure returns the lag of partition p, of which everything up to done is done. The end of the input was read before.
func (m *lagMeter) measure(ctx context.Context, p int, done, end uint64) (Lag, error) {
	from := max(done, m.empty[p])
	if from > end {
		from = done // the stream was made anew, or lost what was never durable
	}
	if from >= end {
		return Lag{}, nil
	}
	l, err := m.bus.lag(ctx, m.stage.Input, m.stage.Subject(p), from)
	switch {
	case err != nil:
	case l.Messages == 0:
		m.empty[p] = end
	default:
		m.empty[p] = l.First - 1
	}
	return l, err
}
