package expo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/scrape"
)

// TestLargeSummaryKeepsItsType has many series whose labels differ by one character each: none may be taken for another.
func TestLargeSummaryKeepsItsType(t *testing.T) {
	schema := new(scrape.Schema)
	add := func(name string, labels ...scrape.Label) {
		labels = append([]scrape.Label{{Name: scrape.MetricName, Value: name}}, labels...)
		schema.Series = append(schema.Series, scrape.Series{Labels: labels, Help: "Help.", Type: "summary"})
	}
	for queue := range 500 {
		label := scrape.Label{Name: "queue", Value: fmt.Sprintf("queue-%d", queue)}
		for quantile := range 10 {
			add("item_seconds", label, scrape.Label{Name: "quantile", Value: fmt.Sprintf("0.%d", quantile)})
		}
		add("item_seconds_sum", label)
		add("item_seconds_count", label)
	}
	text, err := NewTemplate(schema).Append(nil, &scrape.Scrape{Values: make([]float64, len(schema.Series))})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "# TYPE "); n != 1 || !strings.Contains(string(text), "# TYPE item_seconds summary\n") {
		t.Errorf("%d TYPE lines, want one for the summary; the text begins:\n%.300s", n, text)
	}
}
