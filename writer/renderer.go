package writer

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// renderer makes the data of one scrape after the other, in buffers that it keeps.
type renderer struct {
	text []byte
	data bytes.Buffer
	zip  *gzip.Writer
}

// maxKept is the largest buffer that a renderer keeps for the next scrape, in bytes. Some targets have scrapes of many
// megabytes, but few.
const maxKept = 4 << 20

func newRenderer(level int) (*renderer, error) {
	zip, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		return nil, err
	}
	return &renderer{zip: zip}, nil
}

// render returns the gzipped text of a scrape, valid until the next call, and the size of the text. The header of the gzip
// stream holds neither name nor time, so that the same scrape always gives the same bytes.
func (r *renderer) render(t *expo.Template, s *scrape.Scrape) (data []byte, size int, err error) {
	if cap(r.text) > maxKept {
		r.text = nil
	}
	if r.data.Cap() > maxKept {
		r.data = bytes.Buffer{}
	}
	if r.text, err = t.Append(r.text[:0], s); err != nil {
		return nil, 0, err
	}
	r.data.Reset()
	r.zip.Reset(&r.data)
	if _, err := r.zip.Write(r.text); err != nil {
		return nil, 0, fmt.Errorf("compress: %w", err)
	}
	if err := r.zip.Close(); err != nil {
		return nil, 0, fmt.Errorf("compress: %w", err)
	}
	return r.data.Bytes(), len(r.text), nil
}
