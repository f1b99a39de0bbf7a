package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
)

// partitionsKey is the entry of a stream's metadata that holds the number of partitions.
const partitionsKey = "zstats-partitions"

// EnsureStreams makes the streams that are missing and brings the others to what is asked for. A stream that was made with
// another number of partitions or other subjects is an error, and is left as it is.
func (b *Bus) EnsureStreams(ctx context.Context, streams []event.Stream, partitions int) error {
	for _, s := range streams {
		if err := b.ensureStream(ctx, b.streamConfig(s, partitions)); err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	return nil
}

func (b *Bus) streamConfig(s event.Stream, partitions int) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:               s.Name,
		Subjects:           s.Subjects,
		Storage:            jetstream.FileStorage,
		Discard:            jetstream.DiscardNew,
		MaxAge:             s.MaxAge,
		MaxBytes:           -1,
		Replicas:           b.replicas,
		AllowAtomicPublish: true,
		Metadata:           map[string]string{partitionsKey: strconv.Itoa(partitions)},
	}
	if s.MaxBytes > 0 {
		cfg.MaxBytes = s.MaxBytes
	}
	if s.LastPerSubject {
		cfg.MaxMsgsPerSubject = 1
	}
	return cfg
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// Two processes may get here at once; creating the same stream twice is no error.
		_, err = b.js.CreateStream(ctx, want)
		failpoint.HitIn("log.stream.made", want.Name)
		return err
	}
	if err != nil {
		return err
	}
	have := s.CachedInfo().Config
	if err := compatible(have, want); err != nil {
		return err
	}
	if sameLimits(have, want) {
		return nil
	}
	_, err = b.js.UpdateStream(ctx, want)
	return err
}

// compatible refuses changes that would lose or misplace data.
func compatible(have, want jetstream.StreamConfig) error {
	if p := have.Metadata[partitionsKey]; p != want.Metadata[partitionsKey] {
		return fmt.Errorf("%w: it has %q partitions and this process is configured for %s; the number can't be changed, configure %s",
			ErrIncompatible, p, want.Metadata[partitionsKey], p)
	}
	if !slices.Equal(have.Subjects, want.Subjects) {
		return fmt.Errorf("%w: it holds subjects %q, not %q: it belongs to something else or to another version",
			ErrIncompatible, have.Subjects, want.Subjects)
	}
	return nil
}

func sameLimits(have, want jetstream.StreamConfig) bool {
	return have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes && have.Replicas == want.Replicas &&
		have.AllowAtomicPublish == want.AllowAtomicPublish && have.Discard == want.Discard
}

// Partitions returns the number of partitions that the log was made with.
func (b *Bus) Partitions(ctx context.Context) (int, error) {
	s, err := b.stream(ctx, event.Raw)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(s.CachedInfo().Config.Metadata[partitionsKey])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s does not say how many partitions the log has: is it a log of zstats?", event.Raw)
	}
	return n, nil
}
