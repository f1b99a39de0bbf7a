package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/scrape"
)

const (
	// messageBlobs and messageSamples bound one message of RAW. The assembler makes of it, in one atomic batch of at most
	// 1,000 messages, one for each blob and one more for each 768 KiB of values; within these bounds that is always possible.
	messageBlobs   = 500
	messageSamples = 10_000_000
)

// rawMessage is a message of RAW before it is known where the ones before it come to lie.
type rawMessage struct {
	data    []byte
	run     scrape.Run // that ends with the last blob
	samples int        // of the last blob
	total   int        // samples of all blobs
	full    bool       // holds a full blob
}

// encode turns what the group stores into messages and lets go of the blobs.
func (g *group) encode() error {
	for rest := g.judgement.store; len(rest) > 0; {
		n := messageLength(rest)
		blobs := make([]*scrape.Blob, n)
		last := rest[n-1]
		m := rawMessage{run: last.run, samples: last.blob.Samples}
		for i, a := range rest[:n] {
			blobs[i] = a.blob
			m.total += a.blob.Samples
			m.full = m.full || a.blob.Full()
		}
		var err error
		if m.data, err = event.EncodeBlobs(blobs); err != nil {
			return fmt.Errorf("target %s: %w", g.target, err)
		}
		g.messages = append(g.messages, m)
		rest = rest[n:]
	}
	g.judgement.store = nil
	for i := range g.blobs {
		g.blobs[i].blob = nil
	}
	return nil
}

// messageLength returns how many of the blobs fit into one message, at least one.
func messageLength(blobs []accepted) int {
	samples := 0
	for i, a := range blobs {
		samples += a.blob.Samples
		if i > 0 && (i == messageBlobs || samples > messageSamples) {
			return i
		}
	}
	return len(blobs)
}

// store appends the messages of all groups to RAW and keeps their new heads once all are durable. If that fails, what the
// log holds is unknown, and so are the heads.
//
// All first messages go in one call. A target rarely has a second; where it has, it goes in another call, since a cluster
// keeps the order of messages on one subject only between calls.
func (i *Ingest) store(ctx context.Context, groups []*group, received int64) (err error) {
	known := false
	defer func() { // also when something panics
		for _, g := range groups {
			switch {
			case len(g.messages) == 0:
			case known:
				i.heads.set(g.subject, g.head)
			default:
				i.heads.forget(g.subject)
			}
		}
	}()
	for round := 0; ; round++ {
		sending, messages := nextMessages(groups, round, received)
		if len(sending) == 0 {
			known = true
			return nil
		}
		failpoint.Hit("ingest.raw.before")
		sequences, err := i.raw.Append(ctx, messages)
		if err != nil {
			i.full.observe(err, i.now())
			return fail(outcomeLog, err)
		}
		failpoint.Hit("ingest.raw.after")
		for k, g := range sending {
			if g.messages[round].full {
				g.head.FullSequence = sequences[k]
			}
		}
	}
}

// nextMessages returns the messages with the given number of all groups that have so many, and those groups.
func nextMessages(groups []*group, round int, received int64) (sending []*group, messages []bus.Message) {
	for _, g := range groups {
		if round >= len(g.messages) {
			continue
		}
		m := &g.messages[round]
		g.head.Received, g.head.Run, g.head.Samples = received, m.run, m.samples
		sending = append(sending, g)
		messages = append(messages, g.message(m))
	}
	return sending, messages
}

func (g *group) message(m *rawMessage) bus.Message {
	head := g.head
	if m.full {
		head.FullSequence = 0 // the message itself
	}
	h := event.TargetHeader(g.target)
	head.Set(h)
	return bus.Message{Subject: g.subject, Header: h, Data: m.data}
}

// fullness remembers for a while that RAW was full, so that requests are turned away before they cost anything.
type fullness struct {
	rest  time.Duration // for how long
	until atomic.Int64  // nanoseconds since the Unix epoch
}

func (f *fullness) observe(err error, now time.Time) {
	if errors.Is(err, bus.ErrFull) {
		f.until.Store(now.Add(f.rest).UnixNano())
	}
}

func (f *fullness) ready(now time.Time) error {
	if now.UnixNano() < f.until.Load() {
		return errors.New("RAW is full: it takes messages again once it is trimmed or given more room")
	}
	return nil
}
