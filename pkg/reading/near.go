package reading

import (
	"cmp"
	"slices"
	"strings"
)

// nearest returns the names that someone who typed name may have meant, the likeliest first, each once: those that it is a
// part of, then those that few edits make of it.
func nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	limit := max(1, len(name)/4)
	for _, n := range names {
		switch distance := distance(name, n, limit); {
		case name != "" && strings.Contains(strings.ToLower(n), strings.ToLower(name)):
			near = append(near, candidate{n, 0})
		case distance <= limit:
			near = append(near, candidate{n, distance})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range near {
		out = append(out, c.name)
	}
	return slices.Compact(out)
}

// distance returns how many bytes must be inserted, removed or replaced to make b of a, or more than limit if that is more.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j], row[j+1]) + 1
			if a[i] == b[j] {
				next = min(next, diagonal)
			} else {
				next = min(next, diagonal+1)
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
