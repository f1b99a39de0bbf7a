package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// DurableReader is a named consumer of a stream that the server remembers and that acknowledges what it has got.
type DurableReader struct {
	Name string
	// Position is the name that a consumer of zstats' knows it by; empty if it is not a named position.
	Position string
	// Acked is the sequence up to which it has acknowledged all that it is to get. What lies behind may be acknowledged too, and
	// before its first acknowledgement all that came before it.
	Acked uint64
	// Subjects that it gets, with wildcards; none for all.
	Subjects []string
	// Behind: there is something that it is to get and has not acknowledged.
	Behind bool
}

// Gets reports whether messages on a subject are for the reader.
func (r *DurableReader) Gets(subject string) bool {
	return len(r.Subjects) == 0 || slices.ContainsFunc(r.Subjects, func(filter string) bool { return matches(filter, subject) })
}

// DurableReaders lists those of a stream. Consumers that vanish with their connection, or acknowledge nothing, are none.
func (b *Bus) DurableReaders(ctx context.Context, stream string) ([]DurableReader, error) {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	var all []DurableReader
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		c := info.Config
		if c.Durable == "" || c.AckPolicy == jetstream.AckNonePolicy {
			continue
		}
		r := DurableReader{
			Name: c.Durable, Position: c.Metadata[positionName], Acked: ackFloor(info), Subjects: slices.Clone(c.FilterSubjects),
			Behind: info.NumPending > 0 || info.NumAckPending > 0,
		}
		if c.FilterSubject != "" {
			r.Subjects = append(r.Subjects, c.FilterSubject)
		}
		all = append(all, r)
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("consumers of stream %s: %w", stream, err)
	}
	return all, nil
}

// ackFloor returns the sequence up to which a consumer has acknowledged all that it is to get. The server says 0 until the first
// acknowledgement, wherever the consumer begins.
func ackFloor(info *jetstream.ConsumerInfo) uint64 {
	floor := info.AckFloor.Stream
	if start := info.Config.OptStartSeq; info.Config.DeliverPolicy == jetstream.DeliverByStartSequencePolicy && start > 0 {
		floor = max(floor, start-1)
	}
	return floor
}

// matches reports whether a subject, without wildcards, is one of those that a filter stands for.
func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">" && i == len(want)-1:
			return len(have) > i
		case i >= len(have), token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
