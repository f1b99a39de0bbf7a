package expo

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/zstats/zstats/pkg/scrape"
)

const (
	textType        = "text/plain; version=0.0.4; charset=utf-8"
	openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

func TestParseText(t *testing.T) {
	body := `# HELP h A \\ and\n"more".
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2 1500
h_sum 0.5
h_count 2 1000
# TYPE c counter
c{b="2",a="1",empty=""} NaN
undeclared{instance="mine", exported_job="x",job="y",} +Inf
# HELP "my.metric" Quoted.
# TYPE "my.metric" gauge
{"my.metric", "my.label"="a\"b\\c\nd"} -0
# a comment
late 7
# HELP late Behind its sample.
`
	schema, s, err := Parse([]byte(body), textType, ParseOptions{Time: 1000, ExtraLabels: target()})
	if err != nil {
		t.Fatal(err)
	}
	with := func(pairs ...string) []scrape.Label { return labels(pairs...) }
	want := &scrape.Schema{
		OptionalLabels: []string{"instance", "job"},
		Series: []scrape.Series{
			{Type: "histogram", Help: "A \\ and\n\"more\".", Labels: with("__name__", "h_bucket", "instance", "host:9100", "job", "node", "le", "1")},
			{Type: "histogram", Help: "A \\ and\n\"more\".", Labels: with("__name__", "h_bucket", "instance", "host:9100", "job", "node", "le", "+Inf")},
			{Type: "histogram", Help: "A \\ and\n\"more\".", Labels: with("__name__", "h_sum", "instance", "host:9100", "job", "node")},
			{Type: "histogram", Help: "A \\ and\n\"more\".", Labels: with("__name__", "h_count", "instance", "host:9100", "job", "node")},
			{Type: "counter", Labels: with("__name__", "c", "a", "1", "b", "2", "instance", "host:9100", "job", "node")},
			{Type: "unknown", Labels: with("__name__", "undeclared", "exported_exported_job", "y", "exported_instance", "mine", "exported_job", "x", "instance", "host:9100", "job", "node")},
			{Type: "gauge", Help: "Quoted.", Labels: with("__name__", "my.metric", "instance", "host:9100", "job", "node", "my.label", "a\"b\\c\nd")},
			{Type: "unknown", Help: "Behind its sample.", Labels: with("__name__", "late", "instance", "host:9100", "job", "node")},
		},
	}
	if diff := cmp.Diff(want, schema); diff != "" {
		t.Errorf("schema differs (-want +got):\n%s", diff)
	}
	wantScrape := &scrape.Scrape{
		Time:   1000,
		Schema: want.Hash(),
		Values: []float64{1, 2, 0.5, 2, nan(), inf(), negativeZero(), 7},
		Stamps: []scrape.Stamp{{Index: 1, Time: 1500}},
	}
	if diff := cmp.Diff(wantScrape, s, sameBits()); diff != "" {
		t.Errorf("scrape differs (-want +got):\n%s", diff)
	}
	checkExact(t, schema, s)
}

func TestParseOpenMetrics(t *testing.T) {
	body := `# HELP requests Requests.
# TYPE requests counter
# UNIT requests 
requests_total{code="200"} 5 1.5 # {trace="x"} 1 1.0
requests_created{code="200"} 0.5
# TYPE build info
build_info{v="1"} 1
# TYPE q gaugehistogram
q_bucket{le="1.0"} 1
q_gcount 1
q_gsum 1
# TYPE m unknown
m 1
# EOF
`
	schema, s, err := Parse([]byte(body), openMetricsType, ParseOptions{Time: 1000})
	if err != nil {
		t.Fatal(err)
	}
	want := &scrape.Schema{Series: []scrape.Series{
		{Type: "counter", Help: "Requests.", Labels: labels("__name__", "requests_total", "code", "200")},
		{Type: "counter", Help: "Requests.", Labels: labels("__name__", "requests_created", "code", "200")},
		{Type: "info", Labels: labels("__name__", "build_info", "v", "1")},
		{Type: "gaugehistogram", Labels: labels("__name__", "q_bucket", "le", "1.0")},
		{Type: "gaugehistogram", Labels: labels("__name__", "q_gcount")},
		{Type: "gaugehistogram", Labels: labels("__name__", "q_gsum")},
		{Type: "unknown", Labels: labels("__name__", "m")},
	}}
	if diff := cmp.Diff(want, schema); diff != "" {
		t.Errorf("schema differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]scrape.Stamp{{Index: 0, Time: 1500}}, s.Stamps); diff != "" {
		t.Errorf("stamps differ (-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, contentType, body, want string }{
		{"syntax", textType, "a 1\nb{ 2\nc 3\n", "exposition after 1 samples"},
		{"no value", textType, "a\n", "exposition after 0 samples"},
		{"label twice", textType, `a{b="1",b="2"} 1`, `label "b" occurs twice`},
		{"name twice", textType, `a{__name__="b"} 1`, `label "__name__" occurs twice`},
		{"label without name", textType, `a{""="b"} 1`, "a label has no name"},
		{"metric without name", textType, `{""} 1`, "the metric has no name"},
		{"label name that is not UTF-8", textType, "a{\"\xff\"=\"b\"} 1", "is not UTF-8"},
		{"OpenMetrics cut off", openMetricsType, "a 1\n", "does not end with # EOF"},
		{"protobuf", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", "a 1\n", "ask for text/plain"},
		{"OpenMetrics 2", "application/openmetrics-text; version=2.0.0", "a 1\n# EOF\n", "ask for text/plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema, s, err := Parse([]byte(c.body), c.contentType, ParseOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
			if schema != nil || s != nil {
				t.Errorf("an exposition with an error gave %v, %v", schema, s)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	body := []byte("a 1\nb 2\n")
	for _, c := range []struct {
		name   string
		limits Limits
		ok     bool
	}{
		{"none", Limits{}, true},
		{"reached", Limits{Bytes: 8, Samples: 2}, true},
		{"bytes", Limits{Bytes: 7}, false},
		{"samples", Limits{Samples: 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Parse(body, "", ParseOptions{Limits: c.limits})
			if c.ok != (err == nil) || err != nil && !errors.Is(err, ErrLimit) {
				t.Errorf("error is %v, want one: %t", err, !c.ok)
			}
		})
	}
}

// TestParseLeavesBody checks that nothing is written behind a body without a last line break.
func TestParseLeavesBody(t *testing.T) {
	buffer := []byte("a 1|")
	if _, _, err := Parse(buffer[:3], "", ParseOptions{}); err != nil {
		t.Fatal(err)
	}
	if string(buffer) != "a 1|" {
		t.Errorf("the buffer became %q", buffer)
	}
}

func TestParserKeepsSchema(t *testing.T) {
	const first = "# HELP a Text.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n"
	for _, c := range []struct {
		name, body string
		same       bool
	}{
		{"nothing changed", first, true},
		{"values and times", "# HELP a Text.\n# TYPE a counter\na{x=\"1\"} 3 5\na{x=\"2\"} NaN\n", true},
		{"comments and blank lines", "# HELP a Text.\n\n#x\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2", true},
		{"series more", first + "b 1\n", false},
		{"series less", "# HELP a Text.\n# TYPE a counter\na{x=\"1\"} 1\n", false},
		{"order", "# HELP a Text.\n# TYPE a counter\na{x=\"2\"} 1\na{x=\"1\"} 2\n", false},
		{"label", "# HELP a Text.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"3\"} 2\n", false},
		{"help", "# HELP a Other.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n", false},
		{"type", "# HELP a Text.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n", false},
		{"no type", "# HELP a Text.\na{x=\"1\"} 1\na{x=\"2\"} 2\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewParser(target(), Limits{})
			before, _, err := p.Parse([]byte(first), textType, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := p.Parse([]byte("broken{"), textType, 2); err == nil {
				t.Fatal("broken exposition parsed")
			}
			after, s, err := p.Parse([]byte(c.body), textType, 3)
			if err != nil {
				t.Fatal(err)
			}
			if same := before == after; same != c.same {
				t.Errorf("same schema: %t, want %t", same, c.same)
			}
			fresh, freshScrape, err := Parse([]byte(c.body), textType, ParseOptions{Time: 3, ExtraLabels: target()})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fresh, after); diff != "" {
				t.Errorf("schema differs from a new parser's (-new +used):\n%s", diff)
			}
			if diff := cmp.Diff(freshScrape, s, sameBits()); diff != "" {
				t.Errorf("scrape differs from a new parser's (-new +used):\n%s", diff)
			}
		})
	}
}

func TestOptionalLabels(t *testing.T) {
	extra := labels("zone", "z", "job", "j", "empty", "", "__name__", "no")
	schema, _, err := Parse([]byte("a{job=\"x\"} 1\nb 2\n"), "", ParseOptions{ExtraLabels: extra})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"zone"}, schema.OptionalLabels); diff != "" {
		t.Errorf("optional labels differ (-want +got):\n%s", diff)
	}
	want := [][]scrape.Label{labels("__name__", "a", "exported_job", "x", "job", "j", "zone", "z"), labels("__name__", "b", "job", "j", "zone", "z")}
	for i, s := range schema.Series {
		if diff := cmp.Diff(want[i], s.Labels); diff != "" {
			t.Errorf("labels of series %d differ (-want +got):\n%s", i, diff)
		}
	}
}

func TestParserCorpus(t *testing.T) {
	p := NewParser(target(), Limits{})
	first, _, err := p.Parse(corpus(t, "node-1.txt.gz"), textType, 1)
	if err != nil {
		t.Fatal(err)
	}
	second, s, err := p.Parse(corpus(t, "node-2.txt.gz"), textType, 2)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("a scrape with the same series made another schema")
	}
	if len(first.Series) != 532 || len(s.Values) != 532 {
		t.Errorf("%d series and %d values, want 532", len(first.Series), len(s.Values))
	}
}

// FuzzParse parses any body, and if that succeeds renders it and reads it back.
func FuzzParse(f *testing.F) {
	f.Add([]byte("# HELP a x\n# TYPE a counter\na{b=\"c\"} 1 5\n"), textType)
	f.Add([]byte("# TYPE h histogram\nh_bucket{le=\"1\",} 1\n {\"h.x\", \"q\\\\\\\"\"=\"\\n\"}\t2\n a {b = \"c\" d=\"e\"} 3"), "")
	f.Add([]byte("# TYPE a counter\na_total 1 1.5 # {x=\"y\"} 1\n# EOF\n"), openMetricsType)
	f.Add([]byte("# HELP a \x00\n# x\x00\na{b=\"\x00\"} 1\n"), "text/html")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		p := NewParser(target(), Limits{Samples: 1000})
		schema, s, err := p.Parse(body, contentType, 1000)
		if err != nil {
			return
		}
		again, _, err := p.Parse(body, contentType, 2000)
		if err != nil || again != schema {
			t.Fatalf("parsed again: same schema %t, error %v", again == schema, err)
		}
		checkScanner(t, body, contentType)
		checkReadable(t, schema, s)
		checkRead(t, schema, s)
	})
}

// checkRead checks that ReadText gives what was parsed, apart from times before 1970.
func checkRead(t *testing.T, schema *scrape.Schema, s *scrape.Scrape) {
	t.Helper()
	template, text := render(t, schema, s)
	got, err := ReadText([]byte(text), template.Common())
	if err != nil {
		t.Fatal(err)
	}
	want := samplesOf(schema, s)
	for i := range want {
		want[i].Time = max(want[i].Time, 0)
	}
	if diff := cmp.Diff(want, got, sameBits(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("samples differ (-parsed +read):\n%s\n%s", diff, text)
	}
}

// checkScanner checks that the labels of an accepted exposition are those that textparse finds.
func checkScanner(t *testing.T, body []byte, contentType string) {
	t.Helper()
	parser, err := newTextParser(body, contentType)
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := parser.Next()
		if err != nil {
			return
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var found promlabels.Labels
		parser.Labels(&found)
		raw, _, _ := parser.Series()
		var got, want []scrape.Label
		for _, l := range appendSeriesLabels(nil, string(raw)) {
			got = append(got, canonicalBound(l))
		}
		if _, err := checkLabels(got); err != nil {
			t.Fatal(err)
		}
		found.Range(func(l promlabels.Label) {
			if l.Name == scrape.MetricName {
				l.Value = strings.TrimLeft(l.Value, blanks) // textparse counts a line's indentation to the name
			}
			want = append(want, canonicalBound(scrape.Label{Name: l.Name, Value: l.Value}))
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("labels of %q differ (-textparse +ours):\n%s", raw, diff)
		}
	}
}

// FuzzSeriesLabels checks that any text, also one that textparse would refuse, is scanned to its end.
func FuzzSeriesLabels(f *testing.F) {
	for _, s := range []string{"", "a", `a{b="c"}`, `{"a", b="c\"`, "a{=}", `a{b=}`, `a{"`, "a{b=,", `a{b"c"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(appendSeriesLabels(nil, s)); n > len(s)+1 {
			t.Errorf("%d labels in %d bytes", n, len(s))
		}
	})
}
