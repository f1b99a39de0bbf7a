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
	// Acked is the sequence up to which it has acknowledged all that it is to get. What lies behind may be acknowledged too, and
	// before its first acknowledgement all that came before it.
	Acked uint64
	// Subjects that it gets, with wildcards; none for all.
	Subjects []string
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
		r := DurableReader{Name: c.Durable, Acked: info.AckFloor.Stream, Subjects: slices.Clone(c.FilterSubjects)}
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
