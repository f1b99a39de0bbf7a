package event

import (
	"errors"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// SchemaMessage turns a schema into its message.
func SchemaMessage(s *scrape.Schema) *eventpb.Schema {
	t := stringTable{number: make(map[string]uint32, len(s.Series)/2+16)}
	m := &eventpb.Schema{SeriesCount: uint32(len(s.Series)), Series: make([]uint32, 0, len(s.Series)*11)}
	for i := range s.Series {
		series := &s.Series[i]
		m.Series = append(m.Series, t.add(series.Help), t.add(series.Type), uint32(len(series.Labels)))
		for _, l := range series.Labels {
			m.Series = append(m.Series, t.add(l.Name), t.add(l.Value))
		}
	}
	for _, name := range s.OptionalLabels {
		m.OptionalLabels = append(m.OptionalLabels, t.add(name))
	}
	m.Strings = t.strings
	return m
}

type stringTable struct {
	number  map[string]uint32
	strings []string
}

func (t *stringTable) add(s string) uint32 {
	n, ok := t.number[s]
	if !ok {
		n = uint32(len(t.strings))
		t.strings = append(t.strings, s)
		t.number[s] = n
	}
	return n
}

var errSchema = errors.New("schema's series and strings don't fit together")

// SchemaFrom turns a message into its schema. The series share one array of labels.
func SchemaFrom(m *eventpb.Schema) (*scrape.Schema, error) {
	r := schemaReader{words: m.Series, strings: m.Strings}
	// Each series takes three words and each label two, so the message's size bounds both.
	if uint64(m.SeriesCount)*3 > uint64(len(m.Series)) {
		return nil, errSchema
	}
	s := &scrape.Schema{Series: make([]scrape.Series, m.SeriesCount)}
	labels := make([]scrape.Label, 0, (len(m.Series)-3*len(s.Series))/2)
	for i := range s.Series {
		series := &s.Series[i]
		series.Help, series.Type = r.string(), r.string()
		first := len(labels)
		for n := r.word(); n > 0 && !r.bad; n-- {
			labels = append(labels, scrape.Label{Name: r.string(), Value: r.string()})
		}
		series.Labels = labels[first:len(labels):len(labels)]
	}
	if len(r.words) > 0 {
		return nil, errSchema
	}
	r.words = m.OptionalLabels
	for range m.OptionalLabels {
		s.OptionalLabels = append(s.OptionalLabels, r.string())
	}
	if r.bad {
		return nil, errSchema
	}
	return s, nil
}

// schemaReader takes words one by one and remembers whether one was missing or out of range.
type schemaReader struct {
	words   []uint32
	strings []string
	bad     bool
}

func (r *schemaReader) word() uint32 {
	if len(r.words) == 0 {
		r.bad = true
		return 0
	}
	w := r.words[0]
	r.words = r.words[1:]
	return w
}

func (r *schemaReader) string() string {
	w := r.word()
	if uint64(w) >= uint64(len(r.strings)) {
		r.bad = true
		return ""
	}
	return r.strings[w]
}
