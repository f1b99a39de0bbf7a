package expo

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/zstats/zstats/pkg/scrape"
)

// schema makes the schema of what was recorded, with the target's labels. Its strings share one copy of the series' text.
func (r *record) schema(target []scrape.Label) (*scrape.Schema, error) {
	families := r.families()
	text := string(r.series)
	b := schemaBuilder{target: target}
	s := &scrape.Schema{Series: make([]scrape.Series, len(r.ends))}
	start := 0
	for i, end := range r.ends {
		labels, name, err := b.labels(text[start:end])
		if err != nil {
			return nil, fmt.Errorf("expo: series %q: %w", text[start:end], err)
		}
		m := families.of(name)
		s.Series[i] = scrape.Series{Labels: labels, Help: m.help, Type: m.kind}
		if i == 0 {
			s.OptionalLabels = notExposed(target, b.exposed)
		}
		start = end
	}
	return s, nil
}

// schemaBuilder makes the labels of one series after another.
type schemaBuilder struct {
	target  []scrape.Label
	exposed []scrape.Label // the last series' own labels
	arena   []scrape.Label
}

// labels returns the labels of a series, sorted by name, and its metric name.
func (b *schemaBuilder) labels(raw string) (labels []scrape.Label, name string, err error) {
	b.exposed = appendSeriesLabels(b.exposed[:0], raw)
	// In Prometheus' data model a label without a value is none.
	b.exposed = slices.DeleteFunc(b.exposed, func(l scrape.Label) bool { return l.Name != "" && l.Value == "" })
	if name, err = checkLabels(b.exposed); err != nil {
		return nil, "", err
	}
	const chunk = 4096
	if need := len(b.exposed) + len(b.target); cap(b.arena)-len(b.arena) < need {
		b.arena = make([]scrape.Label, 0, max(chunk, need))
	}
	first := len(b.arena)
	b.arena = appendMerged(b.arena, b.exposed, b.target)
	return b.arena[first:len(b.arena):len(b.arena)], name, nil
}

// checkLabels sorts labels and returns the metric name, or an error if Prometheus would refuse the series.
func checkLabels(labels []scrape.Label) (name string, err error) {
	slices.SortStableFunc(labels, byName)
	for i, l := range labels {
		switch {
		case l.Name == "":
			return "", fmt.Errorf("a label has no name")
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return "", fmt.Errorf("label %q is not UTF-8", l.Name)
		case i > 0 && labels[i-1].Name == l.Name:
			return "", fmt.Errorf("label %q occurs twice", l.Name)
		case l.Name == scrape.MetricName:
			name = l.Value
		}
	}
	if name == "" {
		return "", fmt.Errorf("the metric has no name")
	}
	return name, nil
}

// appendMerged appends the exposed labels and the target's, sorted by name. An exposed label whose name the target also
// has is renamed with the prefix exported_, as often as it takes to find a name that is free; shorter names choose first.
func appendMerged(dst, exposed, target []scrape.Label) []scrape.Label {
	first := len(dst)
	dst = append(dst, target...)
	var conflicts []scrape.Label
	for _, l := range exposed {
		if indexLabel(target, 0, l.Name) >= 0 {
			conflicts = append(conflicts, l)
			continue
		}
		dst = append(dst, l)
	}
	slices.SortStableFunc(conflicts, func(a, b scrape.Label) int { return len(a.Name) - len(b.Name) })
	for _, l := range conflicts {
		for ok := true; ok; ok = indexLabel(dst[first:], 0, l.Name) >= 0 {
			l.Name = "exported_" + l.Name
		}
		dst = append(dst, l)
	}
	slices.SortFunc(dst[first:], byName)
	return dst
}

// notExposed returns the names of the target's labels that are not among those of a series.
func notExposed(target, exposed []scrape.Label) []string {
	var names []string
	for _, l := range target {
		if indexLabel(exposed, 0, l.Name) < 0 {
			names = append(names, l.Name)
		}
	}
	return names
}
