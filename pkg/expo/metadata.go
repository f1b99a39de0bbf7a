package expo

import (
	"encoding/binary"
	"slices"

	"github.com/prometheus/common/model"
)

// The kinds of a record's metadata entries.
const (
	entryHelp = 'H'
	entryType = 'T'
)

// kindUnknown is the type of a series for which the exposition declares none.
const kindUnknown = string(model.MetricTypeUnknown)

// addMetadata adds an entry; name is as it is written, which may be with escapes.
func (r *record) addMetadata(kind byte, name, text []byte) {
	r.metadata = append(r.metadata, kind)
	r.metadata = binary.AppendUvarint(r.metadata, uint64(len(name)))
	r.metadata = append(r.metadata, name...)
	r.metadata = binary.AppendUvarint(r.metadata, uint64(len(text)))
	r.metadata = append(r.metadata, text...)
}

// metadata is what an exposition declares about a family.
type metadata struct{ help, kind string }

// familyTable has the declarations of an exposition by family.
type familyTable map[string]metadata

// families returns the record's declarations; of several for one family the last one counts.
func (r *record) families() familyTable {
	table := make(familyTable)
	for rest := r.metadata; len(rest) > 0; {
		kind := rest[0]
		var name, text string
		name, rest = cutString(rest[1:])
		text, rest = cutString(rest)
		// Only a name that was quoted can have a backslash.
		name = unescape(name)
		m := table[name]
		if kind == entryHelp {
			m.help = text
		} else {
			m.kind = text
		}
		table[name] = m
	}
	return table
}

func cutString(b []byte) (string, []byte) {
	n, width := binary.Uvarint(b)
	b = b[width:]
	return string(b[:n]), b[n:]
}

// of returns the declaration of the family that a series with the given name belongs to: the one of that very name, else
// the one whose type gives its series such a suffix.
func (t familyTable) of(name string) metadata {
	m, ok := t[name]
	if !ok {
		m = t.bySuffix(name)
	}
	if m.kind == "" {
		m.kind = kindUnknown
	}
	return m
}

func (t familyTable) bySuffix(name string) metadata {
	for _, s := range suffixes() {
		if base, ok := cutSuffix(name, s.suffix); ok {
			if m := t[base]; slices.Contains(s.kinds, m.kind) {
				return m
			}
		}
	}
	return metadata{}
}

// suffix is an ending that the series of some types have behind their family's name.
type suffix struct {
	suffix string
	kinds  []string
}

// suffixes returns those of the text format 0.0.4 and of OpenMetrics 1.0, section "Metric Types".
func suffixes() []suffix {
	return []suffix{
		{"_bucket", []string{kindHistogram, string(model.MetricTypeGaugeHistogram)}},
		{"_sum", []string{kindHistogram, kindSummary}},
		{"_count", []string{kindHistogram, kindSummary}},
		{"_total", []string{kindCounter}},
		{"_created", []string{kindCounter, kindHistogram, kindSummary}},
		{"_gsum", []string{string(model.MetricTypeGaugeHistogram)}},
		{"_gcount", []string{string(model.MetricTypeGaugeHistogram)}},
		{"_info", []string{string(model.MetricTypeInfo)}},
	}
}
