package bus

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Place says where a stream keeps a message, and since when.
type Place struct {
	Subject  string
	Sequence uint64
	Stored   time.Time
}

// everything is the subject of every message.
const everything = ">"

// Find returns the place of the first kept message on subject whose sequence is at least from, as the stream's leader knows
// it, or ErrNotFound. The subject may have wildcards; ">" stands for every message.
func (b *Bus) Find(ctx context.Context, stream, subject string, from uint64) (p Place, err error) {
	err = b.asking(ctx, func(ctx context.Context) error {
		p, err = b.find(ctx, stream, subject, from)
		return err
	})
	return p, err
}

func (b *Bus) find(ctx context.Context, stream, subject string, from uint64) (Place, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return Place{}, err
	}
	raw, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil {
		return Place{}, readError(err, stream, subject+" from sequence "+strconv.FormatUint(from, 10))
	}
	return Place{Subject: raw.Subject, Sequence: raw.Sequence, Stored: raw.Time}, nil
}

// FindMessage returns the first kept message on subject whose sequence is at least from, like Find, with its content.
func (b *Bus) FindMessage(ctx context.Context, stream, subject string, from uint64) (Message, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return Message{}, err
	}
	raw, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil {
		return Message{}, readError(err, stream, subject+" from sequence "+strconv.FormatUint(from, 10))
	}
	return b.join(ctx, s, message(raw.Subject, raw.Header, raw.Data, raw.Sequence, raw.Time))
}
