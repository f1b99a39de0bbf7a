package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
)

// partitionsKey is the entry of a stream's metadata that holds the number of partitions.
const partitionsKey = "zstats-partitions"

// EnsureStreams makes the streams that are missing and brings the others to what is asked for. A stream that was made with
// another number of partitions or other subjects, or that would lose data or copies by the change, is an ErrIncompatible and is
// left as it is. Where an age is to become less and older messages are there of a stream that keeps the last of each subject, the
// age stays until they have gone. The bucket is made too of what named positions have missed.
func (b *Bus) EnsureStreams(ctx context.Context, streams []event.Stream, partitions int) error {
	for _, s := range streams {
		if err := b.ensureStream(ctx, b.streamConfig(s, partitions)); err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	_, err := b.gapBucket(ctx)
	return err
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
	if want.MaxMsgsPerSubject == 1 && removesAged(have, want, s.CachedInfo().State, time.Now()) {
		// There is always something old in such a stream, so a refusal would last for ever. To keep it costs next to nothing.
		want.MaxAge = have.MaxAge
	}
	if err := lossless(have, want, s.CachedInfo().State, time.Now()); err != nil {
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
	if max(have.MaxMsgsPerSubject, 0) != want.MaxMsgsPerSubject || have.Retention != want.Retention {
		return fmt.Errorf("%w: it does not keep messages as this version does: it belongs to something else or to another version", ErrIncompatible)
	}
	return nil
}

// lossless refuses changes by which a stream in this state would lose messages or copies of them.
func lossless(have, want jetstream.StreamConfig, state jetstream.StreamState, now time.Time) error {
	switch {
	case want.MaxBytes > 0 && want.MaxBytes != have.MaxBytes && state.Bytes > uint64(want.MaxBytes):
		return fmt.Errorf("%w: it holds %d bytes, and the limit is to be %d: configure more, or first a lower age and wait until it was trimmed",
			ErrIncompatible, state.Bytes, want.MaxBytes)
	case removesAged(have, want, state, now):
		return fmt.Errorf("%w: it holds messages since %s, which an age of %s would remove: configure an age of at least %s, or remove them first if they can be done without",
			ErrIncompatible, state.FirstTime.UTC().Format(time.RFC3339), want.MaxAge, now.Sub(state.FirstTime).Truncate(time.Hour)+time.Hour)
	case want.Replicas < have.Replicas:
		return fmt.Errorf("%w: it has %d copies, and %d are configured: configure %d, or take the others away with NATS's own tools if that is what you want",
			ErrIncompatible, have.Replicas, want.Replicas, have.Replicas)
	}
	return nil
}

// removesAged reports whether a stream in this state would lose messages by a lower age.
func removesAged(have, want jetstream.StreamConfig, state jetstream.StreamState, now time.Time) bool {
	lower := want.MaxAge > 0 && (have.MaxAge == 0 || want.MaxAge < have.MaxAge)
	return lower && state.Msgs > 0 && now.Sub(state.FirstTime) > want.MaxAge
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
