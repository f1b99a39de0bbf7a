package expo

import (
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zstats/zstats/pkg/scrape"
)

func TestAppendMerged(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		common           []scrape.Label
	}{
		{"as rendered", "# HELP a {}\n# TYPE a gauge\na{} 1.000000\na{x=\"1\"} 2.000000 77\n",
			"# HELP a {}\n# TYPE a gauge\na{job=\"j\", le2=\"\\\"\\\\\\n\"} 1.000000\na{x=\"1\", job=\"j\", le2=\"\\\"\\\\\\n\"} 2.000000 77\n",
			labels("job", "j", "le2", "\"\\\n")},
		{"nothing to merge", "a{} 1\n", "a{} 1\n", nil},
		{"no text", "", "", labels("a", "b")},
		{"no braces", "a 1\n b\t2 3\nc", "a{x=\"y\"} 1\n b{x=\"y\"}\t2 3\nc{x=\"y\"}", labels("x", "y")},
		{"a comma at the end", "a{b=\"1\",} 1\n", "a{b=\"1\", x=\"y\"} 1\n", labels("x", "y")},
		{"blanks", "a { } 1\n\n  # c\n", "a { x=\"y\"} 1\n\n  # c\n", labels("x", "y")},
		{"quoted", "{\"a.b\"} 1\n{\"a}\\\"\", \"c d\"=\"}\\\\\"} 1\n", "{\"a.b\", \"x.z\"=\"y\"} 1\n{\"a}\\\"\", \"c d\"=\"}\\\\\", \"x.z\"=\"y\"} 1\n", labels("x.z", "y")},
		{"its own label wins", "a{x=\"mine\"} 1\n", "a{x=\"mine\", z=\"1\"} 1\n", labels("x", "y", "z", "1")},
		{"cut off", "a{x=\"1", "a{x=\"1{z=\"1\"}", labels("z", "1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff("before"+c.want, string(AppendMerged([]byte("before"), []byte(c.text), c.common))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// checkMerged checks that a text says by itself what it said with the common labels.
func checkMerged(t *testing.T, text string, common []scrape.Label) {
	t.Helper()
	want, err := ReadText([]byte(text), common)
	if err != nil {
		return
	}
	merged := AppendMerged(nil, []byte(text), common)
	got, err := ReadText(merged, nil)
	if err != nil {
		t.Fatalf("%v\n%q\nmade of\n%q", err, merged, text)
	}
	if diff := cmp.Diff(want, got, sameBits(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("samples differ (-want +got):\n%s\n%s\nmade of\n%s", diff, merged, text)
	}
	if diff := cmp.Diff(comments(text), comments(string(merged))); diff != "" {
		t.Fatalf("HELP and TYPE differ (-want +got):\n%s", diff)
	}
}

func comments(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestAppendMergedProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	for _, wild := range []bool{false, true} {
		g := &generator{Rand: rand.New(rand.NewSource(seed)), wild: wild}
		for range 1000 {
			schema := g.schema()
			template, text := render(t, schema, g.scrape(schema))
			checkMerged(t, text, template.Common())
			checkMerged(t, text, append(template.Common(), scrape.Label{Name: "added", Value: cleanText(g.labelValue())}))
		}
	}
}

func TestAppendMergedCorpus(t *testing.T) {
	for _, name := range corpusNames() {
		checkMerged(t, string(corpus(t, name)), labels("instance", "host:9100", "job", "node"))
	}
}

func FuzzAppendMerged(f *testing.F) {
	f.Add("a{} 1\n", "x", "y")
	f.Add("a{x=\"1\",} 1\n# HELP b c\nb 2 3\n{\"a.b\", \"c\"=\"\\\"}\"} 1\n", "c", "\n\"\\")
	f.Add("a { x = \"1\" , } 1\n", "le", "x.y")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		name, value = cleanName(name), cleanText(value)
		if name == "" || name == scrape.MetricName {
			return
		}
		checkMerged(t, text, []scrape.Label{{Name: name, Value: value}})
	})
}
