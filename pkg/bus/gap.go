package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// Gap is a range of sequences of EVENTS that were removed before a position had acknowledged them all. Some of them may have been
// acknowledged, and some may never have belonged to an event that the position selects. The zero Gap is none.
type Gap struct{ First, Last uint64 }

// Len returns the number of sequences.
func (g Gap) Len() uint64 {
	if g == (Gap{}) {
		return 0
	}
	return g.Last - g.First + 1
}

// with returns the smallest gap that holds both.
func (g Gap) with(other Gap) Gap {
	switch {
	case g == Gap{}:
		return other
	case other == Gap{}:
		return g
	}
	return Gap{min(g.First, other.First), max(g.Last, other.Last)}
}

// after returns what lies behind a sequence.
func (g Gap) after(sequence uint64) Gap {
	if g.Last <= sequence {
		return Gap{}
	}
	return Gap{max(g.First, sequence+1), g.Last}
}

// upTo returns what lies in front of a sequence, or at it.
func (g Gap) upTo(sequence uint64) Gap {
	if g == (Gap{}) || sequence < g.First {
		return Gap{}
	}
	return Gap{g.First, min(g.Last, sequence)}
}

// Gap returns what was removed before the position had acknowledged it, and AckGap has not been told of yet.
func (p *Position) Gap(ctx context.Context) (g Gap, err error) {
	err = p.bus.asking(ctx, func(ctx context.Context) error {
		g, err = p.bus.gap(ctx, p.consumer.CachedInfo().Name)
		return err
	})
	return g, err
}

// AckGap acknowledges the gap up to a sequence. It returns what it is that acknowledged: of two at once, one gets nothing.
func (p *Position) AckGap(ctx context.Context, last uint64) (acked Gap, err error) {
	err = p.bus.changeGap(ctx, p.consumer.CachedInfo().Name, func(g Gap) Gap {
		acked = g.upTo(last)
		return g.after(last)
	})
	return acked, err
}

// The gaps lie in a bucket, each under the name of its position's consumer: the server forgets what it removed.

// gapBucket opens the bucket, or makes it.
func (b *Bus) gapBucket(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv := b.gaps
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	k, err := b.Bucket(ctx, event.GapBucket, 0)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.gaps = k.kv
	b.mu.Unlock()
	return k.kv, nil
}

func (b *Bus) gap(ctx context.Context, consumer string) (Gap, error) {
	g, _, err := b.gapAt(ctx, consumer)
	return g, err
}

// gapAt returns a gap and its revision, 0 if there never was one.
func (b *Bus) gapAt(ctx context.Context, consumer string) (Gap, uint64, error) {
	kv, err := b.gapBucket(ctx)
	if err != nil {
		return Gap{}, 0, err
	}
	e, err := kv.Get(ctx, consumer)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Gap{}, 0, nil
	}
	if err != nil {
		return Gap{}, 0, fmt.Errorf("gap of %s: %w", consumer, err)
	}
	g, err := decodeGap(e.Value())
	return g, e.Revision(), err
}

// allGaps returns the gaps of all positions, by the names of their consumers.
func (b *Bus) allGaps(ctx context.Context) (map[string]Gap, error) {
	kv, err := b.gapBucket(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("gaps of positions: %w", err)
	}
	all := make(map[string]Gap)
	for key := range keys.Keys() {
		if all[key], err = b.gap(ctx, key); err != nil {
			return nil, errors.Join(err, keys.Stop())
		}
	}
	return all, nil
}

func decodeGap(data []byte) (Gap, error) {
	m := new(eventpb.Gap)
	if err := event.Unmarshal(data, m); err != nil {
		return Gap{}, fmt.Errorf("gap of a position: %w", err)
	}
	return Gap{m.GetFirstSequence(), m.GetLastSequence()}, nil
}

// changeGap replaces a gap by what change makes of it, which may be called several times: others change it too.
func (b *Bus) changeGap(ctx context.Context, consumer string, change func(Gap) Gap) error {
	kv, err := b.gapBucket(ctx)
	if err != nil {
		return err
	}
	for {
		have, revision, err := b.gapAt(ctx, consumer)
		if err != nil {
			return err
		}
		want := change(have)
		if want == have {
			return nil
		}
		if err := putGap(ctx, kv, consumer, want, revision); !othersWereFirst(err) {
			return err
		}
	}
}

// putGap replaces a gap of a revision, or makes one if that is 0. An empty gap is stored like any other, so that its revision is known.
func putGap(ctx context.Context, kv jetstream.KeyValue, consumer string, g Gap, revision uint64) error {
	data, err := event.Marshal(&eventpb.Gap{FirstSequence: g.First, LastSequence: g.Last})
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = kv.Create(ctx, consumer, data)
	} else {
		_, err = kv.Update(ctx, consumer, data, revision)
	}
	if err != nil {
		return fmt.Errorf("gap of %s: %w", consumer, err)
	}
	return nil
}

// othersWereFirst reports whether a change failed because the revision is another one by now.
func othersWereFirst(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// beginGap sets the gap of a position that is about to be made, to what is gone already of what it asks for. Have is what an earlier
// position of its name has left. It leaves the gap alone once others have changed it, as they make the position too.
func (b *Bus) beginGap(ctx context.Context, s jetstream.Stream, spec PositionSpec, have Gap, revision uint64) error {
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	want := Gap{}
	if from := max(spec.From, 1); from < info.State.FirstSeq {
		want = Gap{from, info.State.FirstSeq - 1}
	}
	if want == have {
		return nil
	}
	kv, err := b.gapBucket(ctx)
	if err != nil {
		return err
	}
	if err := putGap(ctx, kv, spec.consumer(), want, revision); !othersWereFirst(err) {
		return err
	}
	return nil
}

// forgetGap removes the gap of a position that was removed, unless others have changed it since: there may be a new one.
func (b *Bus) forgetGap(ctx context.Context, consumer string, revision uint64) error {
	if revision == 0 {
		return nil
	}
	kv, err := b.gapBucket(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, consumer, jetstream.LastRevision(revision)); err != nil && !othersWereFirst(err) {
		return fmt.Errorf("gap of %s: %w", consumer, err)
	}
	return nil
}
