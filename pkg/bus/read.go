package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
)

// Last returns the last message on subject, as the stream's leader knows it, or ErrNotFound.
func (b *Bus) Last(ctx context.Context, stream, subject string) (m Message, err error) {
	err = b.asking(ctx, func(ctx context.Context) error {
		m, err = b.last(ctx, stream, subject)
		return err
	})
	return m, err
}

func (b *Bus) last(ctx context.Context, stream, subject string) (Message, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return Message{}, err
	}
	for before := uint64(0); ; {
		raw, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return Message{}, readError(err, stream, subject)
		}
		m, err := b.join(ctx, s, message(raw.Subject, raw.Header, raw.Data, raw.Sequence, raw.Time))
		if !errors.Is(err, ErrNotFound) || raw.Sequence == before {
			return m, err
		}
		before = raw.Sequence // its parts are gone: where only the last message is kept, it was replaced meanwhile
	}
}

// Get returns the message with the given sequence, as the stream's leader knows it, or ErrNotFound.
func (b *Bus) Get(ctx context.Context, stream string, sequence uint64) (m Message, err error) {
	err = b.asking(ctx, func(ctx context.Context) error {
		m, err = b.get(ctx, stream, sequence)
		return err
	})
	return m, err
}

func (b *Bus) get(ctx context.Context, stream string, sequence uint64) (Message, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return Message{}, err
	}
	raw, err := s.GetMsg(ctx, sequence)
	if err != nil {
		return Message{}, readError(err, stream, "sequence "+strconv.FormatUint(sequence, 10))
	}
	return b.join(ctx, s, message(raw.Subject, raw.Header, raw.Data, raw.Sequence, raw.Time))
}

// stream returns the handle of a stream.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	b.mu.Lock()
	s := b.streams[name]
	b.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	b.mu.Lock()
	b.streams[name] = s
	b.mu.Unlock()
	return s, nil
}

// join fetches the parts that precede a large message and puts their data into it. It is ErrBroken if they are not there, or if
// the message doesn't say where.
func (b *Bus) join(ctx context.Context, s jetstream.Stream, m Message) (Message, error) {
	count, ok := m.Header[headerParts]
	if !ok {
		return m, nil
	}
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || n >= m.Sequence || n > maxBatch {
		return m, fmt.Errorf("message %d: header %s is %q: %w", m.Sequence, headerParts, count, ErrBroken)
	}
	data := make([]byte, 0, n*partSize)
	for sequence := m.Sequence - n; sequence < m.Sequence; sequence++ {
		part, err := s.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return m, fmt.Errorf("message %d, sequence %d of %d parts: %w", m.Sequence, sequence, n, ErrBroken)
		}
		if err != nil {
			return m, readError(err, "part of message "+strconv.FormatUint(m.Sequence, 10), strconv.FormatUint(sequence, 10))
		}
		data = append(data, part.Data...)
	}
	m.Data = data
	delete(m.Header, headerParts)
	return m, nil
}

// joinOrMark does the same, but marks a message as broken if it is for good.
func (b *Bus) joinOrMark(ctx context.Context, s jetstream.Stream, m Message) (Message, error) {
	joined, err := b.join(ctx, s, m)
	if !errors.Is(err, ErrBroken) {
		return joined, err
	}
	// A reader may be served by a replica that is ahead of the leader. Once the leader has the message it has the parts too,
	// if anybody has.
	if _, err := s.GetMsg(ctx, m.Sequence); err != nil {
		return m, readError(err, s.CachedInfo().Config.Name, "sequence "+strconv.FormatUint(m.Sequence, 10))
	}
	joined, err = b.join(ctx, s, m)
	if errors.Is(err, ErrBroken) {
		m.Data, m.Broken = nil, err
		return m, nil
	}
	return joined, err
}

func message(subject string, h nats.Header, data []byte, sequence uint64, stored time.Time) Message {
	m := Message{Subject: subject, Header: make(event.Header, len(h)), Data: data, Sequence: sequence, Stored: stored}
	for name, values := range h {
		if len(values) > 0 {
			m.Header[name] = values[0]
		}
	}
	return m
}

func readError(err error, stream, what string) error {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%s, %s: %w", stream, what, ErrNotFound)
	}
	return fmt.Errorf("read %s, %s: %w", stream, what, err)
}
