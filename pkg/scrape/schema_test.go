package scrape

import (
	"fmt"
	"strings"
	"testing"
)

// The expected hashes were computed by another implementation and are part of the log's format.
func TestSchemaHash(t *testing.T) {
	large := &Schema{}
	for i := range 300 {
		large.Series = append(large.Series, Series{
			Labels: []Label{{MetricName, fmt.Sprintf("n%d", i)}}, Help: strings.Repeat("h", 5000), Type: "gauge",
		})
	}
	tests := []struct {
		name   string
		schema *Schema
		want   string
	}{
		{"empty", &Schema{}, "fb50dc0717ff266cf9baf82b1ce7a1c2ef6d9247859680b11a19fb7077f5f222"},
		{"two series", twoSeries(), "8bf696e9a3f4dc716dcaef3085343a7082ac1dd7464250b608ef3271c1d1a043"},
		{"texts", &Schema{Series: []Series{
			{Help: "line\nbreak \\ \"quote\" ünï", Type: "unknown", Labels: []Label{{MetricName, "x"}, {"path", `C:\`}}},
			{},
		}}, "f45ca85e910702ea6db170e2451b1451ae7d70f32f2c0da7381d5d7c9534e4a3"},
		{"larger than a buffer", large, "16657260f139667ce50eb7793061b2f1e5414984229df09a68cc4a49e739a38f"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.schema.Hash().String(); got != test.want {
				t.Errorf("hash is %s, want %s", got, test.want)
			}
		})
	}
}

func twoSeries() *Schema {
	labels := func(name string) []Label { return []Label{{MetricName, name}, {"instance", "h:1"}, {"job", "j"}} }
	return &Schema{
		Series: []Series{
			{Labels: labels("a"), Help: "A.", Type: "counter"},
			{Labels: labels("b"), Help: "B.", Type: "gauge"},
		},
		OptionalLabels: []string{"instance", "job"},
	}
}

func TestSchemaHashTellsSchemasApart(t *testing.T) {
	changes := map[string]func(s *Schema){
		"nothing":               func(*Schema) {},
		"order of series":       func(s *Schema) { s.Series[0], s.Series[1] = s.Series[1], s.Series[0] },
		"order of labels":       func(s *Schema) { l := s.Series[0].Labels; l[1], l[2] = l[2], l[1] },
		"a label less":          func(s *Schema) { s.Series[0].Labels = s.Series[0].Labels[:2] },
		"a label's bounds":      func(s *Schema) { s.Series[0].Labels[1] = Label{"instanceh", ":1"} },
		"help and type":         func(s *Schema) { s.Series[0].Help, s.Series[0].Type = "A.c", "ounter" },
		"help":                  func(s *Schema) { s.Series[1].Help = "b." },
		"type":                  func(s *Schema) { s.Series[1].Type = "counter" },
		"a series less":         func(s *Schema) { s.Series = s.Series[:1] },
		"optional labels":       func(s *Schema) { s.OptionalLabels = s.OptionalLabels[:1] },
		"order of optional":     func(s *Schema) { o := s.OptionalLabels; o[0], o[1] = o[1], o[0] },
		"bounds of optional":    func(s *Schema) { s.OptionalLabels = []string{"instancej", "ob"} },
		"a series without name": func(s *Schema) { s.Series = append(s.Series, Series{}) },
	}
	seen := map[Hash]string{}
	for name, change := range changes {
		s := twoSeries()
		change(s)
		if other, ok := seen[s.Hash()]; ok {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[s.Hash()] = name
	}
}

func TestSeriesName(t *testing.T) {
	named, nameless := Series{Labels: []Label{{"a", "b"}, {MetricName, "up"}}}, Series{Labels: []Label{{"a", "b"}}}
	if named.Name() != "up" || nameless.Name() != "" {
		t.Errorf("names are %q and %q, want up and none", named.Name(), nameless.Name())
	}
}
