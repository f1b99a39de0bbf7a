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
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
)

// TrimRule says what may be removed from the front of a stream. Whatever the age and the bytes, nothing goes that a reading
// stage has not done, and no checkpoint that is the last of its partition.
type TrimRule struct {
	Stream string
	// Age of messages that may go.
	Age time.Duration
	// Bytes that the stream may hold; from four fifths of it on messages go before their age. 0 is unbounded.
	Bytes int64
	// Reader is the stage that reads the stream and ReaderOutput the stream with its checkpoints; empty if there is none.
	Reader, ReaderOutput string
	// Writer is the stage whose checkpoints are in the stream; empty if there is none.
	Writer string
}

// TrimmerOptions configure a Trimmer.
type TrimmerOptions struct {
	Bus        *Bus
	Partitions int
	Rules      []TrimRule
	// Every is the period; 0 is a minute.
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
}

// freshness is the age below which nothing is removed even if a stream is over its bytes: a message's parts and the
// checkpoint that covers it are surely on the same side of the cut.
const freshness = time.Minute

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
	}
	for _, r := range o.Rules {
		t.trimmed.WithLabelValues(r.Stream)
		t.failed.WithLabelValues(r.Stream)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(t.trimmed, t.failed)
	}
	return t, nil
}

// Run trims now and then periodically, until ctx ends. A process that never lives for a period trims too.
func (t *Trimmer) Run(ctx context.Context) error {
	for ok := true; ok; ok = pause(ctx, t.o.Every) {
		for _, r := range t.o.Rules {
			n, err := t.trim(ctx, r, time.Now())
			t.trimmed.WithLabelValues(r.Stream).Add(float64(n))
			if err != nil && ctx.Err() == nil {
				t.failed.WithLabelValues(r.Stream).Inc()
				t.log.Warn("trimming failed, trying again later", zap.String("stream", r.Stream), zap.Error(err))
			}
		}
	}
	return nil
}

// trim applies one rule and returns how many messages it removed.
func (t *Trimmer) trim(ctx context.Context, r TrimRule, now time.Time) (uint64, error) {
	s, err := t.o.Bus.stream(ctx, r.Stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", r.Stream, err)
	}
	keep, err := t.wanted(ctx, s, r, info.State, now)
	if err != nil || keep <= info.State.FirstSeq {
		return 0, err
	}
	needed, err := t.needed(ctx, r)
	if err != nil {
		return 0, err
	}
	if keep = min(keep, needed); keep <= info.State.FirstSeq {
		return 0, nil
	}
	failpoint.HitIn("trim.before", r.Stream)
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return 0, fmt.Errorf("purge %s up to %d: %w", r.Stream, keep, err)
	}
	failpoint.HitIn("trim.after", r.Stream)
	t.log.Debug("trimmed", zap.String("stream", r.Stream), zap.Uint64("first", keep))
	return keep - info.State.FirstSeq, nil
}

// wanted returns the first sequence to keep by age and bytes.
func (t *Trimmer) wanted(ctx context.Context, s jetstream.Stream, r TrimRule, state jetstream.StreamState, now time.Time) (uint64, error) {
	keep, err := firstSince(ctx, s, state, now.Add(-r.Age))
	if err != nil || r.Bytes == 0 || state.Msgs == 0 {
		return keep, err
	}
	excess := int64(state.Bytes) - r.Bytes/5*4
	if excess <= 0 {
		return keep, nil
	}
	// Messages of one stream are alike enough: in the long run the average size frees what has to be freed.
	share := float64(excess) / float64(state.Bytes)
	over := state.FirstSeq + uint64(share*float64(state.Msgs))
	fresh, err := firstSince(ctx, s, state, now.Add(-freshness))
	return max(keep, min(over, fresh)), err
}

// firstSince returns the sequence of the first message stored at or after a time, by bisection: sequences and times ascend
// together.
func firstSince(ctx context.Context, s jetstream.Stream, state jetstream.StreamState, since time.Time) (uint64, error) {
	low, high := state.FirstSeq, state.LastSeq+1 // the answer lies in [low, high]
	for low < high {
		mid := low + (high-low)/2
		m, err := s.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(">")) // the first message from mid on
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			high = mid
		case err != nil:
			return 0, fmt.Errorf("find the first message since %s: sequence %d: %w", since.UTC().Format(time.RFC3339), mid, err)
		case m.Time.Before(since):
			low = m.Sequence + 1
		default:
			high = mid
		}
	}
	return low, nil
}

// needed returns the first sequence that some checkpoint needs: the oldest input that a reader has not done, and the oldest
// checkpoint that lies in the stream itself.
func (t *Trimmer) needed(ctx context.Context, r TrimRule) (uint64, error) {
	first := ^uint64(0)
	for p := range t.o.Partitions {
		if r.Reader != "" {
			done, _, err := t.checkpoint(ctx, r.ReaderOutput, r.Reader, p)
			if err != nil {
				return 0, err
			}
			first = min(first, done+1)
		}
		if r.Writer != "" {
			_, sequence, err := t.checkpoint(ctx, r.Stream, r.Writer, p)
			if err != nil {
				return 0, err
			}
			if sequence > 0 {
				first = min(first, sequence)
			}
		}
	}
	return first, nil
}

// checkpoint returns the input sequence of the last checkpoint of a partition and its own; zeros if there is none.
func (t *Trimmer) checkpoint(ctx context.Context, stream, stage string, p int) (done, sequence uint64, err error) {
	m, err := t.o.Bus.Last(ctx, stream, event.CheckpointSubject(stage, p))
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	c := new(eventpb.Checkpoint)
	if err := event.Unmarshal(m.Data, c); err != nil {
		return 0, 0, fmt.Errorf("checkpoint of stage %s, partition %d: %w", stage, p, err)
	}
	return c.InputSequence, m.Sequence, nil
}
