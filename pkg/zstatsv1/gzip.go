package zstatsv1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Compressor packs the bodies of requests. Its zero value is ready; it may be used by several goroutines at once.
type Compressor struct {
	writers sync.Pool // of *gzip.Writer
}

// Append appends body to dst as one gzip stream, made for speed as the collectors do.
func (z *Compressor) Append(dst, body []byte) []byte {
	w, _ := z.writers.Get().(*gzip.Writer)
	if w == nil {
		w, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails on an unknown level only
	}
	defer z.writers.Put(w)
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	w.Reset(nil)
	return out.Bytes()
}

// Decompressor unpacks the bodies of requests. Its zero value is ready; it may be used by several goroutines at once.
type Decompressor struct {
	readers sync.Pool // of *unpacker
}

// unpacker is what reading one body takes.
type unpacker struct {
	source source
	buf    *bufio.Reader
	zip    gzip.Reader
}

// Append reads a gzip stream from r and appends what was packed in it to dst, at most limit bytes of it. It returns the
// extended slice, also beside an error. Bytes behind the stream that are no gzip themselves are ignored; how much is
// read of r is the caller's to limit.
//
// The error is ErrNotGzip, ErrTruncated, ErrCorrupt, ErrTooLarge if more than limit bytes were packed, or the error of r.
func (z *Decompressor) Append(dst []byte, r io.Reader, limit int64) ([]byte, error) {
	u, _ := z.readers.Get().(*unpacker)
	if u == nil {
		u = &unpacker{buf: bufio.NewReaderSize(nil, 32<<10)}
	}
	defer z.readers.Put(u)
	u.source = source{r: r}
	u.buf.Reset(&u.source)
	dst, err := u.append(dst, limit)
	if failed := u.source.err; failed != nil && err != nil {
		err = fmt.Errorf("read compressed body: %w", failed)
	}
	u.source = source{}
	return dst, err
}

func (u *unpacker) append(dst []byte, limit int64) ([]byte, error) {
	if head, _ := u.buf.Peek(2); len(head) == 0 || !bytes.HasPrefix([]byte{0x1f, 0x8b}, head) {
		return dst, fmt.Errorf("%w: the body begins with % x", ErrNotGzip, head)
	}
	if err := u.zip.Reset(u.buf); err != nil {
		return dst, headerError(err)
	}
	start := int64(len(dst))
	for {
		u.zip.Multistream(false)
		var err error
		if dst, err = u.member(dst, start, start+limit); err != nil {
			return dst, err
		}
		if err = u.zip.Reset(u.buf); err != nil {
			return dst, u.source.err
		}
	}
}

// member appends one member of the gzip stream; what began at start may grow to end.
func (u *unpacker) member(dst []byte, start, end int64) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, 4<<10)
		}
		n, err := u.zip.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if int64(len(dst)) > end {
			return dst[:end], &Error{Kind: ErrTooLarge,
				Reason: fmt.Sprintf("the body is more than %d bytes when uncompressed", end-start)}
		}
		switch {
		case err == io.EOF:
			return dst, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return dst, fmt.Errorf("%w: the compressed body ends early", ErrTruncated)
		case err != nil:
			return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}

func headerError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: the body ends inside the gzip header", ErrTruncated)
	}
	return fmt.Errorf("%w: %w", ErrNotGzip, err)
}

// source keeps the error of the reader beneath, so that it is not taken for a defect of what was read.
type source struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
