package expo

import (
	"bytes"

	"github.com/zstats/zstats/pkg/scrape"
)

// AppendMerged appends a rendered text with the common labels, which it leaves out, put back behind those of each line. All else
// stays as it is. A label that a line has itself is not added to it, as in ReadText. Of a text that no parser reads it makes
// something, without endless loops or panics.
func AppendMerged(dst, text []byte, common []scrape.Label) []byte {
	if len(common) == 0 {
		return append(dst, text...)
	}
	m := merger{common: common}
	for _, l := range common {
		m.all = appendLabel(m.all, l)
	}
	for len(text) > 0 {
		n := len(text) - len(bytes.TrimLeft(text, blanks))
		dst, text = append(dst, text[:n]...), text[n:]
		if len(text) > 0 && text[0] != '#' && text[0] != '\n' {
			n = seriesLength(text)
			dst, text = m.appendSeries(dst, text[:n]), text[n:]
		}
		n = lineLength(text)
		dst, text = append(dst, text[:n]...), text[n:]
	}
	return dst
}

// lineLength returns the length of the first line with its end.
func lineLength(text []byte) int {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n + 1
	}
	return len(text)
}

// seriesLength returns how much of a line precedes its value: name and labels. A line break within quotes doesn't end it.
func seriesLength(text []byte) int {
	braces := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			i += quotedLength(text[i:]) - 1
		case c == '{':
			braces = true
		case c == '}' && braces:
			return i + 1
		case c == '\n', !braces && (c == ' ' || c == '\t') && !opensNext(text[i:]):
			return i
		}
	}
	return len(text)
}

// opensNext reports whether blanks are followed by the labels' brace: only then the series goes on behind them.
func opensNext(text []byte) bool {
	rest := bytes.TrimLeft(text, blanks)
	return len(rest) > 0 && rest[0] == '{'
}

// quotedLength returns the length of the string in quotes that text begins with.
func quotedLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// merger adds labels to series.
type merger struct {
	common []scrape.Label
	all    []byte // `a="x", b="y"`
	labels []scrape.Label
}

// appendSeries appends a series with the common labels.
func (m *merger) appendSeries(dst, series []byte) []byte {
	add := m.missing(string(series))
	if len(add) == 0 {
		return append(dst, series...)
	}
	body, closed := bytes.CutSuffix(series, []byte("}"))
	dst = append(dst, body...)
	switch last := bytes.TrimRight(body, blanks); {
	case !closed:
		dst = append(dst, '{')
	case len(last) == 0 || last[len(last)-1] == '{': // no label yet
	case last[len(last)-1] == ',':
		dst = append(dst, ' ')
	default:
		dst = append(dst, ", "...)
	}
	return append(append(dst, add...), '}')
}

// missing returns those of the common labels that a series lacks.
func (m *merger) missing(series string) []byte {
	m.labels = appendSeriesLabels(m.labels[:0], series)
	var some []byte
	lacks := len(m.common)
	for _, l := range m.common {
		if indexLabel(m.labels, 0, l.Name) >= 0 {
			lacks--
		}
	}
	if lacks == len(m.common) {
		return m.all
	}
	for _, l := range m.common {
		if indexLabel(m.labels, 0, l.Name) < 0 {
			some = appendLabel(some, l)
		}
	}
	return some
}

// appendLabel appends a label, behind a comma if it isn't the first.
func appendLabel(dst []byte, l scrape.Label) []byte {
	if len(dst) > 0 {
		dst = append(dst, ", "...)
	}
	if name := cleanName(l.Name); isPlainLabel(name) {
		dst = append(dst, name...)
	} else {
		dst = appendQuoted(dst, name)
	}
	return appendQuoted(append(dst, '='), cleanText(l.Value))
}
