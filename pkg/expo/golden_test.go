package expo

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zstats/zstats/pkg/scrape"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// goldenScrape is a schema and its scrape as testdata writes them.
type goldenScrape struct {
	Time   int64
	Common [][2]string
	Series []struct {
		Labels [][2]string
		Help   string
		Type   string
		Value  string
		At     *int64
	}
}

func pairs(in [][2]string) []scrape.Label {
	var out []scrape.Label
	for _, p := range in {
		out = append(out, scrape.Label{Name: p[0], Value: p[1]})
	}
	return out
}

func readGolden(t *testing.T, path string) (*scrape.Schema, *scrape.Scrape, []scrape.Label) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenScrape
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	schema, s := new(scrape.Schema), &scrape.Scrape{Time: g.Time}
	for i, in := range g.Series {
		schema.Series = append(schema.Series, scrape.Series{Labels: pairs(in.Labels), Help: in.Help, Type: in.Type})
		v, err := strconv.ParseFloat(in.Value, 64)
		if err != nil {
			t.Fatal(err)
		}
		s.Values = append(s.Values, v)
		if in.At != nil {
			s.Stamps = append(s.Stamps, scrape.Stamp{Index: int32(i), Time: *in.At})
		}
	}
	return schema, s, pairs(g.Common)
}

// compareGolden compares with a file of testdata, or writes it.
func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}

func TestRenderGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/render/*.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			schema, s, common := readGolden(t, input)
			template, text := render(t, schema, s)
			compareGolden(t, name+".txt", text)
			if diff := cmp.Diff(common, template.Common(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("common labels differ (-want +got):\n%s", diff)
			}
			checkReadable(t, schema, s)
		})
	}
}
