package ingest

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/zstats/zstats/pkg/zstatsv1"
)

// body is the compressed body of a request.
type body struct {
	bytes  []byte
	weight int64 // of intake.buffered
}

// read reads a body into b, which must be dropped whatever the result is.
func (n *intake) read(r *http.Request, b *body) error {
	if r.ContentLength > n.limits.BodyBytes {
		return n.tooLarge()
	}
	for {
		if err := n.room(b); err != nil {
			return err
		}
		got, err := r.Body.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+got]
		n.metrics.bodyBytes.Add(float64(got))
		switch {
		case int64(len(b.bytes)) > n.limits.BodyBytes:
			return n.tooLarge()
		case err == io.EOF:
			return nil
		case err != nil:
			return fail(outcomeInterrupted, fmt.Errorf("read body after %d bytes: %w", len(b.bytes), err))
		}
	}
}

// tooLarge is how a body that exceeds its limit is refused. It would exceed it the next time too.
func (n *intake) tooLarge() error {
	return fail(outcomeRefused, fmt.Errorf("%w: the body has more than %d bytes", zstatsv1.ErrTooLarge, n.limits.BodyBytes))
}

// room makes the buffer larger if it is full.
func (n *intake) room(b *body) error {
	if len(b.bytes) < cap(b.bytes) {
		return nil
	}
	next := n.packed.get(int64(2 * cap(b.bytes)))
	// A single body counts for no more than its limit, so that one always fits.
	more := min(int64(cap(next)), n.limits.BodyBytes) - b.weight
	if !n.buffered.TryAcquire(more) {
		n.packed.put(next)
		return fail(outcomeOverloaded, fmt.Errorf("%d bytes more of bodies that wait: %w", more, errOverloaded))
	}
	b.weight += more
	n.metrics.bufferedBytes.Add(float64(more))
	next = append(next, b.bytes...)
	n.packed.put(b.bytes)
	b.bytes = next
	return nil
}

// drop gives back what the body takes; doing so twice does no harm.
func (n *intake) drop(b *body) {
	n.packed.put(b.bytes)
	n.buffered.Release(b.weight)
	n.metrics.bufferedBytes.Sub(float64(b.weight))
	*b = body{}
}

// buffers keeps buffers between requests.
type buffers struct {
	kept int // the largest capacity worth keeping, in bytes
	pool sync.Pool
}

// firstBuffer is the least capacity of a buffer, in bytes.
const firstBuffer = 32 << 10

// get returns an empty buffer with at least the given capacity.
func (p *buffers) get(capacity int64) []byte {
	if kept, ok := p.pool.Get().(*[]byte); ok && int64(cap(*kept)) >= capacity {
		return (*kept)[:0]
	}
	return make([]byte, 0, max(capacity, firstBuffer))
}

// put takes a buffer back.
func (p *buffers) put(b []byte) {
	if cap(b) >= firstBuffer && cap(b) <= p.kept {
		p.pool.Put(&b)
	}
}
