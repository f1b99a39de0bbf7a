package expo

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/zstats/zstats/pkg/scrape"
)

// Template is a schema prepared for rendering: everything that doesn't change from scrape to scrape. It is immutable and
// safe for concurrent use.
type Template struct {
	// text holds for each written series, in order, what precedes its value: the HELP and TYPE lines if it is its family's
	// first, its name and its labels.
	text []byte
	// ends has, for each series of the schema, where its bytes in text end; they begin where the previous one's end. A
	// series that is not written has none.
	ends     []int
	common   []scrape.Label
	optional []string
	written  int
	// types are the places in text of the type of each histogram, counts the positions of the histograms' counts.
	types  []int
	counts []count
	gzip   gzipPlan
}

// count is a bucket or the count of a histogram.
type count struct {
	position  int32
	histogram int32 // index into Template.types
}

// NewTemplate prepares a schema. It keeps nothing of it but the strings of the common and optional labels.
func NewTemplate(s *scrape.Schema) *Template {
	rows := rowsOf(s)
	t := &Template{
		ends:     make([]int, len(s.Series)),
		common:   commonLabels(rows),
		optional: slices.Clone(s.OptionalLabels),
		written:  len(rows),
	}
	b := templateBuilder{Template: t, declared: make(map[string]int32)}
	familyOf := families(rows)
	next := 0
	for i := range t.ends {
		if next < len(rows) && rows[next].position == i {
			b.add(&rows[next], familyOf[next])
			next++
		}
		t.ends[i] = len(t.text)
	}
	t.text = bytes.Clone(t.text)
	t.counts = slices.Clip(t.counts)
	return t
}

// templateBuilder fills a template row by row.
type templateBuilder struct {
	*Template
	declared map[string]int32 // families with their number among the histograms, or -1
}

func (b *templateBuilder) add(r *row, f family) {
	histogram, ok := b.declared[f.name]
	if !ok {
		histogram = b.declare(r, f)
		b.declared[f.name] = histogram
	}
	b.text = appendSeries(b.text, r, b.common)
	b.text = append(b.text, ' ')
	if histogram >= 0 && !strings.HasSuffix(r.name, "_sum") {
		b.counts = append(b.counts, count{int32(r.position), histogram})
	}
}

// declare appends a family's HELP and TYPE and returns its number among the histograms, or -1.
func (b *templateBuilder) declare(r *row, f family) int32 {
	b.text = append(b.text, "# HELP "...)
	b.text = appendMetricName(b.text, f.name)
	b.text = append(b.text, ' ')
	b.text = appendHelp(b.text, cleanText(r.help))
	b.text = append(b.text, "\n# TYPE "...)
	b.text = appendMetricName(b.text, f.name)
	b.text = append(b.text, ' ')
	at := len(b.text)
	b.text = append(b.text, f.kind...)
	b.text = append(b.text, '\n')
	if f.kind != kindHistogram {
		return -1
	}
	b.types = append(b.types, at)
	return int32(len(b.types) - 1)
}

func appendMetricName(dst []byte, name string) []byte {
	if isPlainMetric(name) {
		return append(dst, name...)
	}
	return appendQuoted(dst, name)
}

// appendSeries appends name{labels}, or {"name", labels}, without the common labels.
func appendSeries(dst []byte, r *row, common []scrape.Label) []byte {
	separator := ""
	if isPlainMetric(r.name) {
		dst = append(dst, r.name...)
		dst = append(dst, '{')
	} else {
		dst = append(dst, '{')
		dst = appendQuoted(dst, r.name)
		separator = ", "
	}
	for _, l := range r.labels {
		if _, found := slices.BinarySearchFunc(common, l, byName); found {
			continue
		}
		dst = append(dst, separator...)
		if isPlainLabel(l.Name) {
			dst = append(dst, l.Name...)
		} else {
			dst = appendQuoted(dst, l.Name)
		}
		dst = append(dst, '=')
		dst = appendQuoted(dst, l.Value)
		separator = ", "
	}
	return append(dst, '}')
}

// Common returns the labels that every written sample has with one value and that the text leaves out, sorted by name;
// never __name__, le or quantile. The caller must not change it.
func (t *Template) Common() []scrape.Label { return t.common }

// OptionalLabels returns those of the schema. The caller must not change them.
func (t *Template) OptionalLabels() []string { return t.optional }

// Written returns the number of series that are written: those that have a name.
func (t *Template) Written() int { return t.written }

// Writes reports whether the series at a position of the schema is written.
func (t *Template) Writes(position int) bool {
	if position == 0 {
		return t.ends[0] > 0
	}
	return t.ends[position] > t.ends[position-1]
}

// Size returns how many bytes of memory the template holds. PrepareGzip makes it larger, once.
func (t *Template) Size() int {
	size := int(unsafe.Sizeof(*t)) + cap(t.text) + 8*cap(t.ends) + 8*cap(t.types) + 8*cap(t.counts) + t.gzip.plan.Load().size()
	for _, l := range t.common {
		size += int(unsafe.Sizeof(l)) + len(l.Name) + len(l.Value)
	}
	for _, name := range t.optional {
		size += int(unsafe.Sizeof(name)) + len(name)
	}
	return size
}

// valueRoom is what a value with its line break takes in most scrapes, in bytes.
const valueRoom = 20

// Append appends the text of a scrape of the template's schema to dst. It fails if the scrape has another number of
// values than the schema has series, or stamps that are out of range or not ascending, and then returns dst as it was.
func (t *Template) Append(dst []byte, s *scrape.Scrape) ([]byte, error) {
	if err := t.check(s); err != nil {
		return dst, err
	}
	if at := t.negativeCounts(s.Values); len(at) > 0 {
		t = t.untyped(at)
	}
	dst = slices.Grow(dst, len(t.text)+valueRoom*t.written)
	start, stamps := 0, s.Stamps
	for i, end := range t.ends {
		stamped := len(stamps) > 0 && int(stamps[0].Index) == i
		if end != start {
			dst = append(dst, t.text[start:end]...)
			dst = AppendValue(dst, s.Values[i])
			if stamped && stamps[0].Time != s.Time {
				dst = appendTime(dst, stamps[0].Time)
			}
			dst = append(dst, '\n')
			start = end
		}
		if stamped {
			stamps = stamps[1:]
		}
	}
	return dst, nil
}

func (t *Template) check(s *scrape.Scrape) error {
	if len(s.Values) != len(t.ends) {
		return fmt.Errorf("expo: scrape of generation %d has %d values for a schema of %d series", s.Generation, len(s.Values), len(t.ends))
	}
	before := int32(-1)
	for _, stamp := range s.Stamps {
		if stamp.Index <= before || int(stamp.Index) >= len(t.ends) {
			return fmt.Errorf("expo: scrape of generation %d has a time for position %d after %d, of %d", s.Generation, stamp.Index, before, len(t.ends))
		}
		before = stamp.Index
	}
	return nil
}

// appendTime appends the time of a sample in milliseconds. Prometheus' parser reads no negative ones.
func appendTime(dst []byte, ms int64) []byte {
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, max(ms, 0), 10)
}

// negativeCounts returns where in text the types of those histograms are that have a negative count, ascending. expfmt
// refuses a text with one.
func (t *Template) negativeCounts(values []float64) []int {
	var at []int
	for _, c := range t.counts {
		if values[c.position] < 0 {
			at = append(at, t.types[c.histogram])
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// untyped returns a template whose histograms at the given places of its text are declared untyped instead.
func (t *Template) untyped(at []int) *Template {
	const saved = len(kindHistogram) - len(kindUntyped)
	out := &Template{ends: make([]int, len(t.ends)), written: t.written}
	start := 0
	for _, i := range at {
		out.text = append(append(out.text, t.text[start:i]...), kindUntyped...)
		start = i + len(kindHistogram)
	}
	out.text = append(out.text, t.text[start:]...)
	replaced := 0
	for i, end := range t.ends {
		for replaced < len(at) && at[replaced] < end {
			replaced++
		}
		out.ends[i] = end - saved*replaced
	}
	return out
}
