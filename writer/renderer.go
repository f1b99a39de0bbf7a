package writer

import (
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// renderer makes the data of one scrape after the other, in buffers that it keeps.
type renderer struct {
	data       []byte
	compressor expo.Compressor
}

// maxKept is the largest buffer that a renderer keeps for the next scrape, in bytes. Some targets have scrapes of many
// megabytes, but few.
const maxKept = 4 << 20

// render returns the gzipped text of a scrape, valid until the next call, and the size of the text. The header of the gzip
// stream holds neither name nor time, so that the same scrape always gives the same bytes.
func (r *renderer) render(p *prepared, s *scrape.Scrape) (data []byte, size int, err error) {
	if cap(r.data) > maxKept {
		r.data = nil
	}
	data, size, err = p.AppendGzip(r.data[:0], s, &r.compressor)
	if err != nil {
		return nil, 0, err
	}
	r.data = data
	return data, size, nil
}
