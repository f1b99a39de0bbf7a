package deadletter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Content is what is in a letter.
type Content struct {
	*Letter
	// Payload is what could not be processed, as it was in its message.
	Payload []byte
	// Blobs are those of a letter of the assembler, State is the scrape of one of the writer, as far as this version can decode them.
	Blobs []*scrape.Blob
	State *scrape.State
	// Fault is why the payload can't be decoded, nil if it can.
	Fault error
}

// Open reads a letter with what is in it; it is bus.ErrNotFound if the letter is gone.
func (b *Box) Open(ctx context.Context, l *Letter) (*Content, error) {
	m, err := b.log.Get(ctx, event.Dead, l.Sequence)
	if err != nil {
		return nil, fmt.Errorf("dead letter %d: %w", l.Sequence, err)
	}
	if m.Subject != l.subject {
		return nil, fmt.Errorf("dead letter %d is on subject %s: %w", l.Sequence, m.Subject, bus.ErrNotFound)
	}
	_, p := parse(m)
	c := &Content{Letter: l, Payload: p.Payload}
	c.Fault = guard(func() error { return c.decode() })
	return c, nil
}

func (c *Content) decode() (err error) {
	switch c.Stage {
	case event.StageAssembler:
		c.Blobs, err = event.DecodeBlobs(c.Payload)
	case event.StageWriter:
		c.State, err = event.DecodeState(c.Payload)
	default:
		err = errors.New("ingest has refused it: no other part of zstats can decode it")
	}
	return err
}

// guard turns a panic of f into an error: what a letter holds has made a process panic before.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
