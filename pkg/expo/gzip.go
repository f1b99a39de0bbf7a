package expo

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/scrape"
)

// AppendGzip appends the text of a scrape, as Append makes it, gzipped: one member without name and time (RFC 1952). It
// returns also the size of the text in bytes. The bytes depend on nothing but the schema and the scrape. It fails like
// Append, and then returns dst as it was.
//
// What the schema lays down is compressed once, by PrepareGzip; after that only values and times are encoded. A scrape whose
// histograms have negative counts has a text with other types, and is compressed from scratch, several times as slowly.
// AppendGzip works in the memory of b; calls with different ones may run at the same time.
func (t *Template) AppendGzip(dst []byte, s *scrape.Scrape, b *Compressor) (data []byte, uncompressed int, err error) {
	defer b.trim()
	if b.text, err = t.Append(b.text[:0], s); err != nil {
		return dst, 0, err
	}
	t.PrepareGzip()
	if p := t.gzip.plan.Load(); p != nil && !t.hasNegativeCount(s.Values) {
		data = b.splice(dst, p)
	} else {
		data, err = b.compress(dst)
	}
	if err != nil {
		return dst, 0, err
	}
	return data, len(b.text), nil
}

// gzipPlan is what PrepareGzip makes.
type gzipPlan struct {
	once sync.Once
	plan atomic.Pointer[deflatePlan] // Size may be called meanwhile
}

// PrepareGzip compresses what the schema lays down, which takes about 7 µs and 100 bytes of memory for each series. The first
// AppendGzip does it otherwise. Who keeps count of templates by their Size calls it before.
func (t *Template) PrepareGzip() {
	t.gzip.once.Do(func() { t.gzip.plan.Store(newDeflatePlan(t)) })
}

// TextHash returns a hash of what the template renders beside values and times. Targets of one kind often have the same: the
// labels that tell them apart are common ones, which the text leaves out.
func (t *Template) TextHash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, t.text) }

// ShareGzip takes over from another template what PrepareGzip makes, and the memory of the text, if both render the same beside
// values and times. It reports whether they do. It must be called before t is used by others.
func (t *Template) ShareGzip(from *Template) bool {
	if !bytes.Equal(t.text, from.text) || !slices.Equal(t.ends, from.ends) {
		return false
	}
	from.PrepareGzip()
	t.text, t.ends = from.text, from.ends
	t.gzip.once.Do(func() { t.gzip.plan.Store(from.gzip.plan.Load()) })
	return true
}

// hasNegativeCount reports whether Append declares a histogram untyped.
func (t *Template) hasNegativeCount(values []float64) bool {
	return slices.ContainsFunc(t.counts, func(c count) bool { return values[c.position] < 0 })
}

// maxKeptBuffer is the largest text, in bytes, whose buffer is kept.
const maxKeptBuffer = 4 << 20

// Compressor is the memory that AppendGzip works in. The zero value is ready. It holds no state: it may be used for one template
// after the other, by one goroutine at a time.
type Compressor struct {
	text    []byte
	encoder planEncoder
	zip     *gzip.Writer // nil until it is needed
}

// trim lets go of the caller's memory and of large buffers.
func (b *Compressor) trim() {
	b.encoder.w = bitWriter{}
	if cap(b.text) > maxKeptBuffer {
		*b = Compressor{}
	}
}

// splice appends the text as a gzip member whose deflate stream is the plan's.
func (b *Compressor) splice(dst []byte, p *deflatePlan) []byte {
	// RFC 1952, section 2.3.1: the magic bytes, deflate, no flags, no time, no hint how hard was tried, unknown system.
	dst = append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
	dst = b.encoder.encode(dst, p, b.text)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(b.text))
	return binary.LittleEndian.AppendUint32(dst, uint32(len(b.text)))
}

// compress appends the text as a gzip member made without a plan.
func (b *Compressor) compress(dst []byte) ([]byte, error) {
	out := appender{dst}
	if b.zip == nil {
		zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		b.zip = zip
	} else {
		b.zip.Reset(&out)
	}
	if _, err := b.zip.Write(b.text); err != nil {
		return nil, err
	}
	if err := b.zip.Close(); err != nil {
		return nil, err
	}
	b.zip.Reset(nil)
	return out.dst, nil
}

// appender is a writer that appends to a slice.
type appender struct{ dst []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.dst = append(a.dst, p...)
	return len(p), nil
}
