package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// StreamStatus is what a stream holds at one moment.
type StreamStatus struct {
	Name       string
	Partitions int // 0 if the stream does not say
	Messages   uint64
	Bytes      uint64
	// First and Last are sequences; First is Last+1 if the stream is empty. Their times are those of storing.
	First, Last         uint64
	FirstTime, LastTime time.Time
	Subjects            uint64
	// MaxBytes is where the stream ends to take messages, 0 for nowhere.
	MaxBytes uint64
	Replicas int
	// Leader and Lost name servers of a cluster: the stream's leader, and those of its replicas that are offline or behind.
	Leader string
	Lost   []string
}

// StreamStatus asks for the state of a stream.
func (b *Bus) StreamStatus(ctx context.Context, name string) (*StreamStatus, error) {
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	info := s.CachedInfo()
	status := &StreamStatus{
		Name: name, Messages: info.State.Msgs, Bytes: info.State.Bytes, First: info.State.FirstSeq, Last: info.State.LastSeq,
		FirstTime: info.State.FirstTime, LastTime: info.State.LastTime, Subjects: info.State.NumSubjects,
		MaxBytes: uint64(max(info.Config.MaxBytes, 0)), Replicas: info.Config.Replicas,
	}
	status.Partitions, _ = strconv.Atoi(info.Config.Metadata[partitionsKey]) // not every stream says
	if c := info.Cluster; c != nil {
		status.Leader = c.Leader
		for _, r := range c.Replicas {
			if r.Offline || !r.Current {
				status.Lost = append(status.Lost, r.Name)
			}
		}
	}
	return status, nil
}

// PartitionStatus is how far a stage has come with one partition.
type PartitionStatus struct {
	Partition int
	// Worker that holds it, empty if nobody does.
	Worker string
	// Done is the sequence of the input stream up to which everything is committed, and Committed when that was; zero if nothing
	// ever was.
	Done      uint64
	Committed time.Time
	// Lag is how many input messages there are behind Done, and Oldest when the first of them was stored; zero if there is none.
	Lag    uint64
	Oldest time.Time
}

// StageStatus asks how far a stage has come with each of n partitions.
func (b *Bus) StageStatus(ctx context.Context, stage Stage, n int) ([]PartitionStatus, error) {
	all := make([]PartitionStatus, n)
	for p := range n {
		s, err := b.partitionStatus(ctx, stage, p)
		if err != nil {
			return nil, fmt.Errorf("stage %s, partition %d: %w", stage.Name, p, err)
		}
		all[p] = s
	}
	return all, nil
}

func (b *Bus) partitionStatus(ctx context.Context, stage Stage, p int) (PartitionStatus, error) {
	s, err := b.partitionOwner(ctx, stage, p)
	if err != nil {
		return s, err
	}
	l, err := b.lag(ctx, stage.Input, stage.Subject(p), s.Done)
	s.Lag, s.Oldest = l.Messages, l.Stored
	return s, err
}

// partitionOwner returns what the last checkpoint of a partition says: all but its lag.
func (b *Bus) partitionOwner(ctx context.Context, stage Stage, p int) (PartitionStatus, error) {
	s := PartitionStatus{Partition: p}
	out, err := b.stream(ctx, stage.Output)
	if err != nil {
		return s, err
	}
	raw, err := out.GetLastMsgForSubject(ctx, event.CheckpointSubject(stage.Name, p))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	c := new(eventpb.Checkpoint)
	if err := event.Unmarshal(raw.Data, c); err != nil {
		return s, fmt.Errorf("checkpoint: %w", err)
	}
	s.Done, s.Committed = c.InputSequence, raw.Time
	if !c.Released {
		s.Worker = c.Worker
	}
	return s, nil
}

// Workers returns the living workers of a stage, sorted.
func (b *Bus) Workers(ctx context.Context, stage string) ([]string, error) {
	kv, err := b.js.KeyValue(ctx, workersBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil // no worker ever began
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", workersBucket, err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("bucket %s: %w", workersBucket, err)
	}
	var ids []string
	for _, key := range keys {
		if id, ok := strings.CutPrefix(key, stage+"."); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
