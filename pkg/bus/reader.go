package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ReadOptions say what a Reader reads.
type ReadOptions struct {
	Stream string
	// Subjects to read, with wildcards; all if empty.
	Subjects []string
	// Of these three the first that is set says where to begin; with none it is the first message that is kept.
	From  uint64    // this sequence, or the first after it that is kept
	Since time.Time // the first message stored at this time or later
	New   bool      // only what is stored from now on
	// LastOfEach reads only the last message of each subject, then what is stored later. It excludes the three above.
	LastOfEach bool
	// MaxPending bounds the data that is fetched ahead, in bytes; 0 is 2 MiB.
	MaxPending int
	// Broken says that messages are delivered, marked, of which parts are missing. Otherwise they are an error.
	Broken bool
}

// Reader reads a stream in order, without acknowledgements. It survives lost connections and changes of the stream's leader, but not
// the restart of an embedded server: then Next returns an error, and a new reader is needed. What it returns is durable. It
// is for one goroutine.
type Reader struct {
	bus      *Bus
	stream   jetstream.Stream
	messages jetstream.MessagesContext
	pending  uint64
	broken   bool
	life     *life       // of the embedded server; the reader ends with it
	unwatch  func() bool // ends the watch over it
}

// maxResets bounds how often a reader makes itself anew by itself before it reports an error. Between the attempts it does not see
// that its user has ended.
const maxResets = 2

// heartbeat is how often the server says that a request still waits. When it has missed two, a reader asks again.
const heartbeat = 5 * time.Second

// minPending holds at least one message of the largest size with its headers.
const minPending = partSize + 64<<10

// Read opens a reader. With New, every message stored after Read has returned will be read.
func (b *Bus) Read(ctx context.Context, o ReadOptions) (*Reader, error) {
	ctx, l, release, err := b.bind(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Stream, err)
	}
	defer release()
	s, err := b.stream(ctx, o.Stream)
	if err != nil {
		return nil, err
	}
	if l != nil {
		// What is there already needs no waiting for acknowledgements.
		_, last, err := b.durableBounds(ctx, l, s)
		if err != nil {
			return nil, err
		}
		l.stored(o.Stream, last)
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: o.Subjects, InactiveThreshold: time.Minute, MaxResetAttempts: maxResets}
	switch {
	case o.LastOfEach:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case o.From > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.From
	case !o.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	case o.New:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	default:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	consumer, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Stream, err)
	}
	if o.MaxPending == 0 {
		o.MaxPending = 2 << 20
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(500, max(o.MaxPending, minPending)),
		jetstream.PullExpiry(30*time.Second),
		jetstream.PullHeartbeat(heartbeat),
	)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Stream, err)
	}
	r := &Reader{bus: b, stream: s, messages: messages, broken: o.Broken, life: l, unwatch: func() bool { return true }}
	if l != nil {
		r.unwatch = context.AfterFunc(l.over, messages.Stop)
	}
	if info := consumer.CachedInfo(); info != nil {
		r.pending = info.NumPending
	}
	return r, nil
}

// Next waits for the next message. It returns the context's error when ctx ends; the reader can be used again then.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	for {
		msg, err := r.messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil && err != nil {
			return Message{}, ctx.Err()
		}
		if err != nil && r.life != nil && r.life.over.Err() != nil {
			return Message{}, fmt.Errorf("read %s: %w", r.name(), r.life.sound(ctx))
		}
		if err != nil && transient(err) {
			continue // the ordered consumer has made itself anew
		}
		if err != nil {
			return Message{}, fmt.Errorf("read %s: %w", r.name(), err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return Message{}, fmt.Errorf("read %s: %w", r.name(), err)
		}
		if err := r.bus.durable(ctx, r.life, r.stream, meta.Sequence.Stream); err != nil {
			return Message{}, fmt.Errorf("read %s: %w", r.name(), err)
		}
		r.pending = meta.NumPending
		m := message(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream, meta.Timestamp)
		if r.broken {
			return r.bus.joinOrMark(ctx, r.stream, m)
		}
		return r.bus.join(ctx, r.stream, m)
	}
}

// transient errors are reported by a consumer that goes on by itself.
func transient(err error) bool {
	return errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrConsumerLeadershipChanged)
}

// Pending returns how many messages there were behind the last one when it was sent, or to be read when the reader was opened.
func (r *Reader) Pending() uint64 { return r.pending }

// Close ends the reader.
func (r *Reader) Close() {
	r.unwatch()
	r.messages.Stop()
}

func (r *Reader) name() string { return r.stream.CachedInfo().Config.Name }

// Bounds returns the sequences of the first and last message that the stream keeps. In an empty stream first is last+1.
func (b *Bus) Bounds(ctx context.Context, stream string) (first, last uint64, err error) {
	ctx, l, release, err := b.bind(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	defer release()
	s, err := b.stream(ctx, stream)
	if err != nil {
		return 0, 0, err
	}
	return b.durableBounds(ctx, l, s)
}
