package expo

import (
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/zstats/zstats/pkg/scrape"
)

// checkExact checks that both parsers read from a rendered scrape exactly what it holds.
func checkExact(t *testing.T, schema *scrape.Schema, s *scrape.Scrape) {
	t.Helper()
	template, text := render(t, schema, s)
	want := samplesOf(schema, s)
	if template.Written() != len(want) {
		t.Fatalf("Written() = %d, want %d", template.Written(), len(want))
	}
	got, err := ReadText([]byte(text), template.Common())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(want, got, sameBits(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("ReadText differs (-want +got):\n%s\n%s", diff, text)
	}
	checkPrometheusLabels(t, text)
	if diff := cmp.Diff(wantFacts(schema, s), expfmtFacts(t, text, template.Common()), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("expfmt differs (-want +got):\n%s\n%s", diff, text)
	}
	checkMetadata(t, text)
}

// checkPrometheusLabels checks that ReadText finds the labels that Prometheus' parser does, but for the spelling of bounds.
func checkPrometheusLabels(t *testing.T, text string) {
	t.Helper()
	samples, err := ReadText([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	parser := textparse.NewPromParser([]byte(text), promlabels.NewSymbolTable(), false)
	for _, sample := range samples {
		var found promlabels.Labels
		for entry := textparse.EntryInvalid; entry != textparse.EntrySeries; {
			if entry, err = parser.Next(); err != nil {
				t.Fatal(err)
			}
		}
		parser.Labels(&found)
		var got, want []scrape.Label
		found.Range(func(l promlabels.Label) {
			got = append(got, canonicalBound(scrape.Label{Name: l.Name, Value: l.Value}))
		})
		for _, l := range sample.Labels {
			want = append(want, canonicalBound(l))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("labels differ from textparse's (-ReadText +textparse):\n%s\n%s", diff, text)
		}
	}
}

// checkMetadata checks that HELP and TYPE stand once per family, as a pair, HELP first, and before all of its samples.
func checkMetadata(t *testing.T, text string) {
	t.Helper()
	declared := map[string]bool{}
	parser := textparse.NewPromParser([]byte(text), nil, false)
	help := ""
	for {
		entry, err := parser.Next()
		if err != nil {
			return // the end, or an error that others report
		}
		switch entry {
		case textparse.EntryHelp:
			name, _ := parser.Help()
			help = string(name)
		case textparse.EntryType:
			name, _ := parser.Type()
			if string(name) != help || declared[help] {
				t.Fatalf("TYPE of %q follows HELP of %q, declared before: %t\n%s", name, help, declared[help], text)
			}
			declared[help] = true
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewSource(seed))}
	compounds := 0
	for range 1000 {
		schema := g.schema()
		checkExact(t, schema, g.scrape(schema))
		for _, f := range families(rowsOf(schema)) {
			if f.kind == kindHistogram || f.kind == kindSummary {
				compounds++
			}
		}
	}
	if compounds < 250 {
		t.Errorf("only %d samples of histograms and summaries: the generator is too wild to test them", compounds)
	}
}

// TestReadableProperty renders what no text can say exactly; it must be readable all the same, with every value.
func TestReadableProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewSource(seed)), wild: true}
	for range 1000 {
		schema := g.schema()
		checkReadable(t, schema, g.scrape(schema))
	}
}

// checkReadable checks that both parsers read a rendered scrape, and that the samples' number, order and values are right.
func checkReadable(t *testing.T, schema *scrape.Schema, s *scrape.Scrape) {
	t.Helper()
	template, text := render(t, schema, s)
	got, err := ReadText([]byte(text), template.Common())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var values, want []float64
	for i := range got {
		values = append(values, got[i].Value)
	}
	for i := range schema.Series {
		if schema.Series[i].Name() != "" {
			want = append(want, s.Values[i])
		}
		if writes := schema.Series[i].Name() != ""; template.Writes(i) != writes {
			t.Fatalf("Writes(%d) = %t", i, !writes)
		}
	}
	if diff := cmp.Diff(want, values, sameBits()); diff != "" {
		t.Fatalf("values differ (-want +got):\n%s\n%s", diff, text)
	}
	if _, err := readExpfmt(text); err != nil {
		t.Fatalf("expfmt refuses the text: %v\n%s", err, text)
	}
	checkMetadata(t, text)
	checkCommon(t, template.Common())
}

func checkCommon(t *testing.T, common []scrape.Label) {
	t.Helper()
	for i, l := range common {
		if i > 0 && common[i-1].Name >= l.Name {
			t.Errorf("common labels are not sorted: %q", common)
		}
		if slices.Contains([]string{scrape.MetricName, "le", "quantile"}, l.Name) {
			t.Errorf("common labels %q have %q", common, l.Name)
		}
	}
}

// FuzzRender lets the fuzzer write two series, in a scrape with one of each kind.
func FuzzRender(f *testing.F) {
	f.Add("a", "le", "1", "help", "histogram", 1.0, int64(5), "a_bucket", "le", "1", "gauge")
	f.Add("h.x_bucket", "le", "1", "", "histogram", -1.0, int64(0), "h.x_count", "le", "", "histogram")
	f.Add("a\x00", "__name__", "\xff", "\n", "summary", 0.1, int64(-1), "", "", "", "")
	f.Fuzz(func(t *testing.T, name, label, value, help, kind string, v float64, at int64, name2, label2, value2, kind2 string) {
		schema := &scrape.Schema{Series: []scrape.Series{
			series("histogram", "a_bucket", "le", "1", "x", "y"),
			{Help: help, Type: kind, Labels: labels(scrape.MetricName, name, label, value)},
			series("histogram", "a_count", "x", "y"),
			{Help: help, Type: kind2, Labels: labels(scrape.MetricName, name2, label, value, label2, value2)},
			series("summary", "s", "quantile", "1", "x", "y"),
			{Help: help, Type: kind, Labels: labels(label2, value, scrape.MetricName, name2, label, value2)},
			series("summary", "s_sum", "x", "y"),
		}}
		s := &scrape.Scrape{Values: []float64{1, v, 2, v, 3, v, 4}, Stamps: []scrape.Stamp{{Index: 1, Time: at}}}
		checkReadable(t, schema, s)
	})
}

func TestCorpus(t *testing.T) {
	for _, name := range corpusNames() {
		t.Run(name, func(t *testing.T) {
			schema, s, err := Parse(corpus(t, name), "text/plain; version=0.0.4", ParseOptions{Time: 1_795_333_095_004, ExtraLabels: target()})
			if err != nil {
				t.Fatal(err)
			}
			checkExact(t, schema, s)
		})
	}
}

// TestCorpusKinds checks that every family of a real scrape keeps its type.
func TestCorpusKinds(t *testing.T) {
	for _, name := range corpusNames() {
		t.Run(name, func(t *testing.T) {
			body := corpus(t, name)
			schema, s, err := Parse(body, "", ParseOptions{ExtraLabels: target()})
			if err != nil {
				t.Fatal(err)
			}
			_, text := render(t, schema, s)
			lines := func(text string) []string {
				return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.HasPrefix(l, "#") })
			}
			if diff := cmp.Diff(lines(string(body)), lines(text)); diff != "" {
				t.Errorf("HELP and TYPE lines differ (-exposed +written):\n%s", diff)
			}
		})
	}
}
