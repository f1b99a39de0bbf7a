package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// Remove deletes a message and its parts from a stream for good: their bytes on disk are overwritten. A message that is not
// there is no error. Should it fail halfway, then parts are left that no message leads to; they go with the stream's age.
func (b *Bus) Remove(ctx context.Context, stream string, sequence uint64) error {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return err
	}
	raw, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return readError(err, stream, "sequence "+strconv.FormatUint(sequence, 10))
	}
	parts := uint64(0)
	if count := raw.Header.Get(headerParts); count != "" {
		if parts, err = strconv.ParseUint(count, 10, 32); err != nil || parts >= sequence || parts > maxBatch {
			return fmt.Errorf("message %d of %s: header %s is %q", sequence, stream, headerParts, count)
		}
	}
	// The message goes first: one without its parts could not be read any more.
	for _, n := range append([]uint64{sequence}, upTo(sequence, parts)...) {
		if err := removeOne(ctx, s, n); err != nil {
			return fmt.Errorf("remove message %d from %s: %w", n, stream, err)
		}
	}
	return nil
}

func removeOne(ctx context.Context, s jetstream.Stream, sequence uint64) error {
	err := s.SecureDeleteMsg(ctx, sequence)
	if err == nil {
		return nil
	}
	if _, gone := s.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil // it went by itself, or somebody else removed it
	}
	return err
}

// upTo returns the n sequences in front of one.
func upTo(sequence, n uint64) []uint64 {
	all := make([]uint64, 0, n)
	for s := sequence - n; s < sequence; s++ {
		all = append(all, s)
	}
	return all
}
