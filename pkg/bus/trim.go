package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
)

// TrimRule says what may be removed from the front of a stream. Whatever the age and the bytes, nothing goes that a reading
// stage has not done, and no checkpoint that is the last of its partition. What a durable reader has not acknowledged is kept
// for longer, but goes too when bytes must.
type TrimRule struct {
	Stream string
	// Age of messages that may go.
	Age time.Duration
	// HeldAge is the age of messages that may go though a durable reader has not acknowledged them. 0 doesn't wait for such readers.
	HeldAge time.Duration
	// Bytes that the stream may hold; from four fifths of it on messages go before their age. 0 is unbounded.
	Bytes int64
	// Reader is the stage that reads the stream and ReaderOutput the stream with its checkpoints; empty if there is none.
	Reader, ReaderOutput string
	// Subject matches the reader's input of a partition. Without it all counts as the partition's.
	Subject func(p int) string
	// Writer is the stage whose checkpoints are in the stream; empty if there is none.
	Writer string
}

// TrimmerOptions configure a Trimmer.
type TrimmerOptions struct {
	Bus        *Bus
	Partitions int
	Rules      []TrimRule
	// Every is the period; 0 is a minute. Streams that near their bytes are looked at every two seconds.
	Every      time.Duration
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Trimmer removes what is done and old from the front of streams. Any number of processes may run one at the same time.
type Trimmer struct {
	o       TrimmerOptions
	log     *zap.Logger
	trimmed *prometheus.CounterVec
	failed  *prometheus.CounterVec
	missed  *prometheus.CounterVec
}

const (
	// freshness is the age below which nothing is removed even if a stream is over its bytes. What is not done is safe without it:
	// it never goes. This is for those who look back: an ingest that asks whether a write of unknown outcome is there, which it
	// does within the time that a write may take, 10 s; and subscribers to events that are a moment late.
	freshness = 10 * time.Second
	// hurry is how often streams are looked at that have a limit of bytes.
	hurry = 2 * time.Second
)

// NewTrimmer returns a trimmer.
func NewTrimmer(o TrimmerOptions) (*Trimmer, error) {
	if o.Bus == nil || o.Partitions < 1 {
		return nil, errors.New("trimmer: Bus and Partitions are required")
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	t := &Trimmer{
		o:   o,
		log: o.Logger,
		trimmed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_trim_messages_total", Help: "Messages removed from the front of a stream."}, []string{"stream"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_trim_failures_total", Help: "Times that trimming a stream failed."}, []string{"stream"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_trim_unacknowledged_total",
			Help: "Times that a stream lost messages which a named position had not acknowledged; it is told of the gap."}, []string{"stream"}),
	}
	for _, r := range o.Rules {
		t.trimmed.WithLabelValues(r.Stream)
		t.failed.WithLabelValues(r.Stream)
		t.missed.WithLabelValues(r.Stream)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(t.trimmed, t.failed, t.missed)
	}
	return t, nil
}

// Run trims now and then periodically, until ctx ends. A process that never lives for a period trims too.
func (t *Trimmer) Run(ctx context.Context) error {
	var last time.Time // that all was trimmed
	for ok := true; ok; ok = pause(ctx, min(t.o.Every, hurry)) {
		now := time.Now()
		all := now.Sub(last) >= t.o.Every
		if all {
			last = now
		}
		for _, r := range t.o.Rules {
			if all || r.Bytes > 0 {
				t.apply(ctx, r, now, all)
			}
		}
	}
	return nil
}

func (t *Trimmer) apply(ctx context.Context, r TrimRule, now time.Time, all bool) {
	n, err := t.trim(ctx, r, now, all)
	t.trimmed.WithLabelValues(r.Stream).Add(float64(n))
	if err != nil && ctx.Err() == nil {
		t.failed.WithLabelValues(r.Stream).Inc()
		t.log.Warn("trimming failed, trying again later", zap.String("stream", r.Stream), zap.Error(err))
	}
}

// trim applies one rule, but only to a stream that nears its bytes unless all is set. It returns how many messages it removed.
func (t *Trimmer) trim(ctx context.Context, r TrimRule, now time.Time, all bool) (uint64, error) {
	s, err := t.o.Bus.stream(ctx, r.Stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", r.Stream, err)
	}
	before := info.State
	if !all && r.excess(before) <= 0 {
		return 0, nil
	}
	keep, err := t.cut(ctx, s, r, before, now)
	if err != nil || keep <= before.FirstSeq {
		return 0, err
	}
	failpoint.HitIn("trim.before", r.Stream)
	if err := t.purge(ctx, s, r, before, keep); err != nil {
		return 0, err
	}
	failpoint.HitIn("trim.after", r.Stream)
	info, err = s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", r.Stream, err)
	}
	n := removed(before, info.State)
	t.log.Debug("trimmed", zap.String("stream", r.Stream), zap.Uint64("first", info.State.FirstSeq), zap.Uint64("messages", n))
	return n, nil
}

// removed returns how many messages went between two states.
func removed(before, after jetstream.StreamState) uint64 {
	if all := before.Msgs + (after.LastSeq - before.LastSeq); all > after.Msgs {
		return all - after.Msgs
	}
	return 0
}

// purge removes all before keep but the last checkpoints.
func (t *Trimmer) purge(ctx context.Context, s jetstream.Stream, r TrimRule, state jetstream.StreamState, keep uint64) error {
	held, err := t.oldestCheckpoint(ctx, r)
	if err != nil {
		return err
	}
	if front := min(keep, held); front > state.FirstSeq {
		if err := t.tellReaders(ctx, s, r, front); err != nil {
			return err
		}
		if err := s.Purge(ctx, jetstream.WithPurgeSequence(front)); err != nil {
			return fmt.Errorf("purge %s up to %d: %w", r.Stream, front, err)
		}
	}
	if held >= keep || r.excess(state) <= 0 {
		return nil
	}
	if err := t.tellReaders(ctx, s, r, keep); err != nil {
		return err
	}
	return t.purgeAround(ctx, s, r, keep)
}

// purgeAround removes all before keep but the last checkpoints where such a one is in the way, of a partition that has long had
// nothing to do. It is published again some day, but could not be if the stream were full by then. It costs the server more than
// to purge the front, since it can't drop whole files.
func (t *Trimmer) purgeAround(ctx context.Context, s jetstream.Stream, r TrimRule, keep uint64) error {
	for _, subject := range s.CachedInfo().Config.Subjects {
		if subject == event.Checkpoints(r.Writer) {
			continue
		}
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(keep)); err != nil {
			return fmt.Errorf("purge %s of %s up to %d: %w", subject, r.Stream, keep, err)
		}
	}
	for p := range t.o.Partitions {
		subject := event.CheckpointSubject(r.Writer, p)
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1)); err != nil {
			return fmt.Errorf("purge all but the last of %s: %w", subject, err)
		}
	}
	return nil
}
