package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/zstats/zstats/pkg/zstatsv1"
)

// intake turns bodies into requests within limits on memory.
//
// A body is first read as it is, compressed. A collector that sends slowly holds nothing but that, so it can't keep others
// from being served. Only then the request takes a place among those that are worked on, and is decoded.
type intake struct {
	limits   Limits
	patience time.Duration       // how long a body waits for its turn
	buffered *semaphore.Weighted // one for each byte of Limits.BufferedBytes
	places   *semaphore.Weighted // one for each of Limits.Requests
	decoding *semaphore.Weighted // one for each byte of Limits.DecodingBytes

	gunzip   zstatsv1.Decompressor
	decoders sync.Pool // of *zstatsv1.Decoder
	packed   buffers
	unpacked buffers
	metrics  *metrics
}

var errOverloaded = errors.New("too much is in flight: come again")

func newIntake(l Limits, m *metrics) (*intake, error) {
	first, err := zstatsv1.NewDecoder(l.Wire)
	if err != nil {
		return nil, err
	}
	n := &intake{
		limits:   l,
		patience: 15 * time.Second,
		buffered: semaphore.NewWeighted(l.BufferedBytes),
		places:   semaphore.NewWeighted(int64(l.Requests)),
		decoding: semaphore.NewWeighted(l.DecodingBytes),
		packed:   buffers{kept: 256 << 10},
		unpacked: buffers{kept: 4 << 20},
		metrics:  m,
	}
	n.decoders.New = func() any {
		d, _ := zstatsv1.NewDecoder(l.Wire) // fails on limits that are wrong only, and these are not
		return d
	}
	n.decoders.Put(first)
	return n, nil
}

// decoded is a request that has its place among those that are worked on.
type decoded struct {
	request *zstatsv1.Request
	decoder *zstatsv1.Decoder // holds the request's memory
	size    int64             // of intake.decoding
	n       *intake
}

// decode waits until the body may be worked on, decodes it, and gives the body back. The result must be closed.
func (n *intake) decode(ctx context.Context, b *body) (*decoded, error) {
	d := &decoded{size: n.claim(b.bytes), n: n}
	if err := n.admit(ctx, d.size); err != nil {
		return nil, err
	}
	done := false
	defer func() { // also when something panics
		if !done {
			d.close()
		}
	}()
	data, err := n.unpackAll(b, d)
	n.drop(b)
	if err != nil {
		return nil, err
	}
	err = d.read(data)
	n.unpacked.put(data)
	if err != nil {
		return nil, fail(outcomeRefused, err)
	}
	done = true
	return d, nil
}

// read decodes and checks the request.
func (d *decoded) read(data []byte) (err error) {
	decoder := d.n.decoders.Get().(*zstatsv1.Decoder)
	d.request, err = decoder.Decode(data)
	d.decoder = decoder // not if it panicked: nobody shall use it again
	if err != nil {
		return err
	}
	return d.request.Check()
}

// unpackAll decompresses the body, a second time if it claimed to be smaller than it is.
func (n *intake) unpackAll(b *body, d *decoded) ([]byte, error) {
	const lastRead = 512 // finding the end takes a read, which wants room
	data, err := n.unpack(b, d.size, d.size+lastRead)
	if !errors.Is(err, zstatsv1.ErrTooLarge) || d.size == n.limits.DecodedBytes {
		return data, err
	}
	more := n.limits.DecodedBytes - d.size
	if !n.decoding.TryAcquire(more) { // to wait while holding some would let two wait for each other
		return nil, fail(outcomeOverloaded, fmt.Errorf("%d bytes more to decode: %w", more, errOverloaded))
	}
	d.size += more
	n.metrics.decodingBytes.Add(float64(more))
	return n.unpack(b, d.size, firstBuffer) // the buffer grows with what there really is
}

// unpack decompresses a body of at most limit bytes into a buffer that begins with the given capacity.
func (n *intake) unpack(b *body, limit, capacity int64) ([]byte, error) {
	data, err := n.gunzip.Append(n.unpacked.get(capacity), bytes.NewReader(b.bytes), limit)
	n.metrics.decodedBytes.Add(float64(len(data)))
	if err != nil {
		n.unpacked.put(data)
		return nil, fail(outcomeRefused, err)
	}
	return data, nil
}

// admit waits until a request of the given size may be worked on. decoded.close ends that.
func (n *intake) admit(ctx context.Context, size int64) error {
	waiting, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	err := n.places.Acquire(waiting, 1)
	if err == nil {
		if err = n.decoding.Acquire(waiting, size); err != nil {
			n.places.Release(1)
		}
	}
	switch {
	case err == nil:
		n.metrics.decodingBytes.Add(float64(size))
		return nil
	case ctx.Err() != nil:
		return fail(outcomeInterrupted, fmt.Errorf("wait for a turn: %w", ctx.Err()))
	default:
		return fail(outcomeOverloaded, fmt.Errorf("no turn within %s: %w", n.patience, errOverloaded))
	}
}

// free gives back the memory of the request, which becomes invalid; doing so twice does no harm.
func (d *decoded) free() {
	if d.decoder != nil {
		d.decoder.Reset()
		d.n.decoders.Put(d.decoder)
		d.decoder, d.request = nil, nil
	}
}

// close ends the work on the request.
func (d *decoded) close() {
	d.free()
	d.n.metrics.decodingBytes.Sub(float64(d.size))
	d.n.decoding.Release(d.size)
	d.n.places.Release(1)
}

// claim returns the size that a compressed body says it has decompressed: the last four bytes of a gzip stream (RFC 1952,
// ISIZE). The claim is bounded by the limit and by what so many bytes can hold, but may be too low.
func (n *intake) claim(compressed []byte) int64 {
	const (
		smallest = 18   // a gzip header and trailer
		ratio    = 1032 // the best that deflate can do
	)
	if len(compressed) < smallest {
		return 1
	}
	size := int64(binary.LittleEndian.Uint32(compressed[len(compressed)-4:]))
	return max(1, min(size, int64(len(compressed))*ratio, n.limits.DecodedBytes))
}
