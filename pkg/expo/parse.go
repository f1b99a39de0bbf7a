package expo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"

	"github.com/prometheus/prometheus/model/textparse"

	"github.com/zstats/zstats/pkg/scrape"
)

// ErrLimit is wrapped by the errors of a Parser whose Limits an exposition exceeds.
var ErrLimit = errors.New("exposition exceeds the limit")

// Limits bound what is taken from one exposition. Zero is no limit.
type Limits struct {
	Bytes   int // of the body, uncompressed
	Samples int
}

func (l Limits) checkBytes(n int) error {
	if l.Bytes > 0 && n > l.Bytes {
		return fmt.Errorf("expo: body of %d bytes: %w of %d bytes", n, ErrLimit, l.Bytes)
	}
	return nil
}

func (l Limits) checkSamples(n int) error {
	if l.Samples > 0 && n > l.Samples {
		return fmt.Errorf("expo: %w of %d samples", ErrLimit, l.Samples)
	}
	return nil
}

// ParseOptions say how one exposition is read.
type ParseOptions struct {
	// Time is when the scrape began, in milliseconds since the Unix epoch: the time of samples that have none.
	Time int64
	// ExtraLabels are the target's labels, instance and job at least. See NewParser.
	ExtraLabels []scrape.Label
	Limits      Limits
}

// Parse reads one exposition. Use a Parser for the expositions of one target.
func Parse(body []byte, contentType string, opts ParseOptions) (*scrape.Schema, *scrape.Scrape, error) {
	return NewParser(opts.ExtraLabels, opts.Limits).Parse(body, contentType, opts.Time)
}

// Parser reads the expositions of one target, one after another. It remembers the last one's series as they were written
// and makes a new schema only when they, or a HELP or TYPE, have changed. It must not be used concurrently.
type Parser struct {
	labels []scrape.Label
	limits Limits
	// What the last exposition said, its schema and the schema's hash; last is empty and schema nil before the first one.
	last   record
	schema *scrape.Schema
	hash   scrape.Hash
	// next is filled by Parse and trades places with last when it succeeds.
	next record
}

// NewParser returns a parser that adds the target's labels to every series. As in Prometheus without honor_labels, they win
// over what the target exposes: an exposed label of the same name becomes exported_<name>.
func NewParser(targetLabels []scrape.Label, limits Limits) *Parser {
	labels := slices.DeleteFunc(slices.Clone(targetLabels), func(l scrape.Label) bool {
		return l.Value == "" || l.Name == scrape.MetricName
	})
	slices.SortStableFunc(labels, byName)
	return &Parser{labels: labels, limits: limits}
}

// Parse reads one exposition that was asked for at a time, in milliseconds since the Unix epoch.
//
// The content type tells OpenMetrics from the text format 0.0.4; one that is missing, or that names neither, is taken for
// the latter, and protobuf is refused. Exemplars, units and native histograms are left out. The scrape has its Time,
// Schema, Values and Stamps set.
//
// The schema is the one that the last call returned, as long as nothing but values and times has changed; it must not be
// modified. Its Type is "unknown" where the exposition declares none, its OptionalLabels are the target's labels that the
// first sample doesn't expose itself. An exposition with an error gives nothing at all, not even what precedes it.
func (p *Parser) Parse(body []byte, contentType string, time int64) (*scrape.Schema, *scrape.Scrape, error) {
	if err := p.limits.checkBytes(len(body)); err != nil {
		return nil, nil, err
	}
	parser, err := newTextParser(body, contentType)
	if err != nil {
		return nil, nil, err
	}
	s := &scrape.Scrape{Time: time, Values: make([]float64, 0, len(p.last.ends))}
	if err := p.read(parser, s); err != nil {
		return nil, nil, err
	}
	if p.schema == nil || !p.next.equal(&p.last) {
		schema, err := p.next.schema(p.labels)
		if err != nil {
			return nil, nil, err
		}
		p.schema, p.hash = schema, schema.Hash()
		p.last, p.next = p.next, p.last
	}
	s.Schema = p.hash
	return p.schema, s, nil
}

// read reads all entries into p.next and s.
func (p *Parser) read(parser textparse.Parser, s *scrape.Scrape) error {
	p.next.reset()
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("expo: exposition after %d samples: %w", len(s.Values), err)
		}
		switch entry {
		case textparse.EntrySeries:
			raw, at, value := parser.Series()
			if at != nil && *at != s.Time {
				s.Stamps = append(s.Stamps, scrape.Stamp{Index: int32(len(s.Values)), Time: *at})
			}
			s.Values = append(s.Values, value)
			p.next.addSeries(raw)
			if err := p.limits.checkSamples(len(s.Values)); err != nil {
				return err
			}
		case textparse.EntryHelp:
			name, text := parser.Help()
			p.next.addMetadata(entryHelp, name, text)
		case textparse.EntryType:
			name, kind := parser.Type()
			p.next.addMetadata(entryType, name, []byte(kind))
		}
	}
}

func newTextParser(body []byte, contentType string) (textparse.Parser, error) {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/vnd.google.protobuf",
		err == nil && media == "application/openmetrics-text" && params["version"] == "2.0.0":
		return nil, fmt.Errorf("expo: can't read an exposition of type %q: ask for text/plain or OpenMetrics 1", contentType)
	case err == nil && media == "application/openmetrics-text":
		return textparse.NewOpenMetricsParser(body, nil), nil
	}
	// The parser may append a line break, which must not end in what the caller has behind the body.
	return textparse.NewPromParser(body[:len(body):len(body)], nil, false), nil
}

// record is what an exposition says apart from its values, as bytes that compare quickly.
type record struct {
	series []byte // the series as they are written, one behind the other
	ends   []int  // where each ends
	// metadata has the HELP and TYPE entries: each the kind, then name and text with their lengths.
	metadata []byte
}

func (r *record) reset() {
	r.series, r.ends, r.metadata = r.series[:0], r.ends[:0], r.metadata[:0]
}

func (r *record) equal(o *record) bool {
	return bytes.Equal(r.series, o.series) && slices.Equal(r.ends, o.ends) && bytes.Equal(r.metadata, o.metadata)
}

func (r *record) addSeries(raw []byte) {
	r.series = append(r.series, raw...)
	r.ends = append(r.ends, len(r.series))
}
