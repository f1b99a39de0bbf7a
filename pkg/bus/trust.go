package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// bind returns a context that also ends with the embedded server's life, so that nobody waits for an answer that can't come, and
// that life; it is nil with an external server.
func (b *Bus) bind(ctx context.Context) (context.Context, *life, func(), error) {
	if b.server == nil {
		return ctx, nil, func() {}, nil
	}
	l, err := b.server.current()
	if err != nil {
		return nil, nil, nil, err
	}
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.over, func() { cancel(context.Cause(l.over)) })
	return bound, l, func() { stop(); cancel(nil) }, nil
}

// asking calls ask and makes sure that what it was told was no lie of a server that could not write.
func (b *Bus) asking(ctx context.Context, ask func(context.Context) error) error {
	bound, l, release, err := b.bind(ctx)
	if err != nil {
		return err
	}
	defer release()
	answer := ask(bound)
	if l == nil || ctx.Err() != nil {
		return answer
	}
	if err := l.sound(ctx); err != nil {
		return err
	}
	return answer
}

// durableBounds returns the sequences of the first and last message of a stream, and waits until the last one is durable.
//
// The stream's state knows of messages that are still being synced. Reading a message waits until that is over, and if it was in
// vain, the server has said so by then.
func (b *Bus) durableBounds(ctx context.Context, l *life, s jetstream.Stream) (first, last uint64, err error) {
	info, err := s.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("stream %s: %w", s.CachedInfo().Config.Name, err)
	}
	first, last = info.State.FirstSeq, info.State.LastSeq
	if l == nil {
		return first, last, nil
	}
	if _, err := s.GetMsg(ctx, max(last, 1)); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, fmt.Errorf("stream %s: %w", info.Config.Name, err)
	}
	return first, last, l.sound(ctx)
}

// durable waits until the message that was read from a stream is durable.
func (b *Bus) durable(ctx context.Context, l *life, s jetstream.Stream, sequence uint64) error {
	if l == nil {
		return nil
	}
	return l.durable(ctx, s.CachedInfo().Config.Name, sequence, func(ctx context.Context) (uint64, error) {
		_, last, err := b.durableBounds(ctx, l, s)
		return last, err
	})
}
