// Package status tells, from the log alone, how the whole pipeline is doing: what each stream holds, how far each stage has come
// with each partition, who works on it, and how fast.
package status

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// Log is what a snapshot asks of the log. *bus.Bus has it.
type Log interface {
	StreamStatus(ctx context.Context, name string) (*bus.StreamStatus, error)
	StageStatus(ctx context.Context, stage bus.Stage, n int) ([]bus.PartitionStatus, error)
	Workers(ctx context.Context, stage string) ([]string, error)
}

var _ Log = (*bus.Bus)(nil)

// Snapshot is the pipeline at one moment. Its parts are asked for one after the other, so under load they differ by what
// happened meanwhile.
type Snapshot struct {
	At      time.Time
	Streams []*bus.StreamStatus // in the order of the pipeline
	Stages  []Stage
}

// Stage is one stage.
type Stage struct {
	Name       string
	Workers    []string // that live
	Partitions []bus.PartitionStatus
}

// Lag is how many messages wait for the stage.
func (s *Stage) Lag() (n uint64) {
	for _, p := range s.Partitions {
		n += p.Lag
	}
	return n
}

// Unowned is how many partitions no living worker holds.
func (s *Stage) Unowned() (n int) {
	for _, p := range s.Partitions {
		if !slices.Contains(s.Workers, p.Worker) {
			n++
		}
	}
	return n
}

// Owned returns how many partitions a worker holds and how many messages wait there.
func (s *Stage) Owned(worker string) (partitions int, lag uint64) {
	for _, p := range s.Partitions {
		if p.Worker == worker {
			partitions++
			lag += p.Lag
		}
	}
	return partitions, lag
}

// Take asks the log for everything.
func Take(ctx context.Context, log Log, now time.Time) (*Snapshot, error) {
	s := &Snapshot{At: now}
	for _, name := range []string{event.Raw, event.Scrapes, event.Schemas, event.Events, event.Dead} {
		stream, err := log.StreamStatus(ctx, name)
		if err != nil {
			return nil, err
		}
		s.Streams = append(s.Streams, stream)
	}
	for _, stage := range []bus.Stage{bus.AssemblerStage(), bus.WriterStage()} {
		n := s.Stream(stage.Input).Partitions
		if n == 0 {
			return nil, fmt.Errorf("stream %s does not say how many partitions it has: it is not one of zstats", stage.Input)
		}
		partitions, err := log.StageStatus(ctx, stage, n)
		if err != nil {
			return nil, err
		}
		workers, err := log.Workers(ctx, stage.Name)
		if err != nil {
			return nil, err
		}
		s.Stages = append(s.Stages, Stage{Name: stage.Name, Workers: workers, Partitions: partitions})
	}
	return s, nil
}

// Stream returns a stream by its name.
func (s *Snapshot) Stream(name string) *bus.StreamStatus {
	for _, stream := range s.Streams {
		if stream.Name == name {
			return stream
		}
	}
	return nil
}

// Targets is about how many targets have a scrape in the log: the subjects of SCRAPES without those of checkpoints and parts.
// Requeued dead letters have subjects of their own and count too.
func (s *Snapshot) Targets() uint64 {
	stream := s.Stream(event.Scrapes)
	others := uint64(stream.Partitions)
	if stream.Subjects < others {
		return 0
	}
	return stream.Subjects - others
}

// Rate is how many messages a second came into a stream between an earlier snapshot and this one.
func (s *Snapshot) Rate(before *Snapshot, stream string) float64 {
	return float64(s.Stream(stream).Last-before.Stream(stream).Last) / s.At.Sub(before.At).Seconds()
}
