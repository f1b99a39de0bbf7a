package expo

import (
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// The labels that tell the samples of a histogram and of a summary apart.
const (
	bucketLabel   = "le"
	quantileLabel = "quantile"
)

// row is a series that is written, in a form that the text format can hold.
type row struct {
	position   int // in the schema
	name       string
	labels     []scrape.Label // without the name, no label name twice
	help, kind string
}

// label returns the value of the label with the given name.
func (r *row) label(name string) (string, bool) {
	if i := indexLabel(r.labels, 0, name); i >= 0 {
		return r.labels[i].Value, true
	}
	return "", false
}

// rowsOf returns the schema's series that have a name.
func rowsOf(s *scrape.Schema) []row {
	rows := make([]row, 0, len(s.Series))
	total := 0
	for i := range s.Series {
		total += len(s.Series[i].Labels)
	}
	arena := make([]scrape.Label, 0, total)
	for i := range s.Series {
		series := &s.Series[i]
		name := cleanName(series.Name())
		if name == "" {
			continue
		}
		first := len(arena)
		arena = appendClean(arena, series.Labels)
		labels := arena[first:len(arena):len(arena)]
		rows = append(rows, row{position: i, name: name, labels: labels, help: series.Help, kind: series.Type})
	}
	return rows
}

// appendClean appends those of the labels that are written on a line: not the metric's name, none without a name, and
// the first of each name.
func appendClean(dst, labels []scrape.Label) []scrape.Label {
	first, ascending := len(dst), true
	for _, l := range labels {
		name := cleanName(l.Name)
		if name == "" || name == scrape.MetricName {
			continue
		}
		if n := len(dst); n > first && dst[n-1].Name >= name {
			ascending = false
		}
		dst = append(dst, scrape.Label{Name: name, Value: cleanText(l.Value)})
	}
	if ascending {
		return dst
	}
	seen := make(map[string]bool, len(dst)-first)
	unique := slices.DeleteFunc(dst[first:], func(l scrape.Label) bool {
		again := seen[l.Name]
		seen[l.Name] = true
		return again
	})
	return dst[:first+len(unique)]
}

// commonLabels returns the labels that every row has with one value, sorted by name, without those that belong to a
// histogram's or a summary's sample.
func commonLabels(rows []row) []scrape.Label {
	if len(rows) == 0 {
		return nil
	}
	common := slices.DeleteFunc(slices.Clone(rows[0].labels), func(l scrape.Label) bool {
		return l.Name == bucketLabel || l.Name == quantileLabel
	})
	for i := 1; i < len(rows) && len(common) > 0; i++ {
		labels := rows[i].labels
		next := 0 // where the label is if both have the same order
		common = slices.DeleteFunc(common, func(l scrape.Label) bool {
			at := indexLabel(labels, next, l.Name)
			if at < 0 {
				return true
			}
			next = at + 1
			return labels[at].Value != l.Value
		})
	}
	slices.SortFunc(common, byName)
	return slices.Clip(common)
}

// indexLabel returns where in labels the one with the given name is, or -1. It looks from a position on, then before it.
func indexLabel(labels []scrape.Label, from int, name string) int {
	for i := from; i < len(labels); i++ {
		if labels[i].Name == name {
			return i
		}
	}
	for i := 0; i < min(from, len(labels)); i++ {
		if labels[i].Name == name {
			return i
		}
	}
	return -1
}

func byName(a, b scrape.Label) int { return strings.Compare(a.Name, b.Name) }
