package writer

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/writer/internal/deflate"
)

// renderer makes the data of one scrape after the other, in buffers that it keeps.
type renderer struct {
	text    []byte
	data    []byte
	encoder deflate.Encoder
	buffer  bytes.Buffer
	zip     *gzip.Writer
}

// maxKept is the largest buffer that a renderer keeps for the next scrape, in bytes. Some targets have scrapes of many
// megabytes, but few.
const maxKept = 4 << 20

// newRenderer returns a renderer. Level is as in Options.
func newRenderer(level int) (*renderer, error) {
	zip, err := gzip.NewWriterLevel(nil, max(level, gzip.BestSpeed))
	if err != nil {
		return nil, err
	}
	return &renderer{zip: zip}, nil
}

// render returns the gzipped text of a scrape, valid until the next call, and the size of the text. The header of the gzip
// stream holds neither name nor time, so that the same scrape always gives the same bytes.
func (r *renderer) render(p *prepared, s *scrape.Scrape) (data []byte, size int, err error) {
	r.trim()
	if r.text, err = p.Append(r.text[:0], s); err != nil {
		return nil, 0, err
	}
	if p.model != nil {
		var ok bool
		if r.data, ok = p.model.Append(r.data[:0], r.text, &r.encoder); ok {
			return r.data, len(r.text), nil
		}
	}
	data, err = r.compress()
	return data, len(r.text), err
}

// compress compresses the text as any other: one whose types changed with its values, or with values and times so long that
// the model can't tell.
func (r *renderer) compress() ([]byte, error) {
	r.buffer.Reset()
	r.zip.Reset(&r.buffer)
	if _, err := r.zip.Write(r.text); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := r.zip.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return r.buffer.Bytes(), nil
}

// trim lets go of large buffers.
func (r *renderer) trim() {
	if cap(r.text) > maxKept {
		r.text, r.encoder = nil, deflate.Encoder{}
	}
	if cap(r.data) > maxKept {
		r.data = nil
	}
	if r.buffer.Cap() > maxKept {
		r.buffer = bytes.Buffer{}
	}
}
