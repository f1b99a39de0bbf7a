package render

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// Files are what lies on disk of a scrape.
type Files struct {
	Paths    archive.Paths
	Metadata *archive.Metadata
	// Data is the content of the data file: text, or gzipped text.
	Data []byte
	// Text is the size of the text in bytes.
	Text int
}

// Renderer makes the files of one scrape after the other, in buffers that it keeps. It is for one goroutine.
type Renderer struct {
	schemas    *Schemas
	data       []byte
	compressor expo.Compressor
}

// maxKept is the largest buffer that a renderer keeps for the next scrape, in bytes. Some targets have scrapes of many
// megabytes, but few.
const maxKept = 4 << 20

// NewRenderer returns a renderer that takes schemas from s.
func NewRenderer(s *Schemas) *Renderer { return &Renderer{schemas: s} }

// Decode reads a message of SCRAPES. What can be read is returned even if something else can't, which is a Refusal.
func Decode(h event.Header, data []byte) (t scrape.Target, st *scrape.State, err error) {
	st = new(scrape.State)
	err = guard(func() error {
		if t, err = h.Target(); err != nil {
			return refuse(ReasonUndecodable, err)
		}
		decoded, err := event.DecodeState(data)
		if err != nil {
			return refuse(ReasonUndecodable, err)
		}
		st = decoded
		return nil
	})
	return t, st, err
}

// Gzip returns the files of a scrape with gzipped data, which is valid until the renderer's next call. The header of the gzip
// stream holds neither name nor time, so that the same scrape always gives the same bytes. The error is a Refusal, a LogError
// or the context's.
func (r *Renderer) Gzip(ctx context.Context, target scrape.Target, st *scrape.State) (*Files, error) {
	return r.files(ctx, target, st, func(t *expo.Template, s *scrape.Scrape) ([]byte, int, error) {
		return t.AppendGzip(r.data[:0], s, &r.compressor)
	})
}

// Text is Gzip without gzip: the data are the text.
func (r *Renderer) Text(ctx context.Context, target scrape.Target, st *scrape.State) (*Files, error) {
	return r.files(ctx, target, st, func(t *expo.Template, s *scrape.Scrape) ([]byte, int, error) {
		text, err := t.Append(r.data[:0], s)
		return text, len(text), err
	})
}

// appendScrape appends a scrape's data to the renderer's buffer and returns it with the size of the text.
type appendScrape func(*expo.Template, *scrape.Scrape) (data []byte, text int, err error)

func (r *Renderer) files(ctx context.Context, target scrape.Target, st *scrape.State, to appendScrape) (f *Files, err error) {
	err = guard(func() error {
		template, err := r.schemas.template(ctx, target.Account, st)
		if err != nil {
			return err
		}
		f, err = r.render(template.Template, target, st, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (r *Renderer) render(template *expo.Template, target scrape.Target, st *scrape.State, to appendScrape) (*Files, error) {
	if cap(r.data) > maxKept {
		r.data = nil
	}
	data, size, err := to(template, &st.Scrape)
	if err == nil {
		err = inRange(st.Inferred, len(st.Values))
	}
	if err != nil {
		return nil, refuse(ReasonMismatch, err)
	}
	r.data = data
	return &Files{
		Paths:    archive.ScrapePaths(target, st.Epoch),
		Metadata: archive.NewMetadata(target, st, template),
		Data:     data,
		Text:     size,
	}, nil
}

// inRange checks positions of samples, which come from the log.
func inRange(positions []int32, samples int) error {
	for _, p := range positions {
		if p < 0 || int(p) >= samples {
			return fmt.Errorf("position %d of an inferred value is not among %d samples", p, samples)
		}
	}
	return nil
}

// guard turns a panic of f into a Refusal: whatever a scrape may hold, it must not end the process, nor hold up the others
// for ever.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse(ReasonPanic, fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	return f()
}
