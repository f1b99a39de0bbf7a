package expo

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/zstats/zstats/pkg/scrape"
)

// readExpfmt reads a text with the parser of prometheus/common.
func readExpfmt(text string) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(text))
}

// facts are samples in a form that survives expfmt, sorted: name, labels with bounds as numbers, value, and for what is no
// histogram or summary the time.
type facts []string

func (f *facts) add(name string, labels []scrape.Label, value float64, time string) {
	sorted := make([]scrape.Label, len(labels))
	for i, l := range labels {
		sorted[i] = canonicalBound(l)
	}
	slices.SortFunc(sorted, byName)
	bits := math.Float64bits(value)
	if math.IsNaN(value) {
		bits = math.Float64bits(math.NaN())
	}
	*f = append(*f, fmt.Sprintf("%q %q %#x %s", name, sorted, bits, time))
}

func (f *facts) addFamily(family *dto.MetricFamily) {
	for _, m := range family.Metric {
		var own []scrape.Label
		for _, l := range m.Label {
			own = append(own, scrape.Label{Name: l.GetName(), Value: l.GetValue()})
		}
		with := func(name string, bound float64) []scrape.Label {
			return append(slices.Clone(own), scrape.Label{Name: name, Value: strconv.FormatFloat(bound, 'g', -1, 64)})
		}
		time := ""
		if m.TimestampMs != nil {
			time = strconv.FormatInt(m.GetTimestampMs(), 10)
		}
		name := family.GetName()
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			f.add(name, own, m.Counter.GetValue(), time)
		case dto.MetricType_GAUGE:
			f.add(name, own, m.Gauge.GetValue(), time)
		case dto.MetricType_UNTYPED:
			f.add(name, own, m.Untyped.GetValue(), time)
		case dto.MetricType_SUMMARY:
			for _, q := range m.Summary.Quantile {
				f.add(name, with(quantileLabel, q.GetQuantile()), q.GetValue(), "")
			}
			if m.Summary.SampleSum != nil {
				f.add(name+"_sum", own, m.Summary.GetSampleSum(), "")
			}
			if m.Summary.SampleCount != nil {
				f.add(name+"_count", own, float64(m.Summary.GetSampleCount()), "")
			}
		case dto.MetricType_HISTOGRAM:
			for _, b := range m.Histogram.Bucket {
				f.add(name+"_bucket", with(bucketLabel, b.GetUpperBound()), float64(b.GetCumulativeCount()), "")
			}
			if m.Histogram.SampleSum != nil {
				f.add(name+"_sum", own, m.Histogram.GetSampleSum(), "")
			}
			if m.Histogram.SampleCount != nil {
				f.add(name+"_count", own, float64(m.Histogram.GetSampleCount()), "")
			}
		}
	}
}

// expfmtFacts reads a text with expfmt and puts the common labels back.
func expfmtFacts(t testing.TB, text string, common []scrape.Label) facts {
	t.Helper()
	read, err := readExpfmt(text)
	if err != nil {
		t.Fatalf("expfmt refuses the text: %v\n%s", err, text)
	}
	var out facts
	for _, family := range read {
		for _, m := range family.Metric {
			for _, l := range common {
				m.Label = append(m.Label, &dto.LabelPair{Name: &l.Name, Value: &l.Value})
			}
		}
		out.addFamily(family)
	}
	slices.Sort(out)
	return out
}

// wantFacts returns what expfmtFacts should find.
func wantFacts(schema *scrape.Schema, s *scrape.Scrape) facts {
	var out facts
	familyOf := families(rowsOf(schema))
	for i, sample := range samplesOf(schema, s) {
		var name string
		own := slices.DeleteFunc(sample.Labels, func(l scrape.Label) bool {
			if l.Name == scrape.MetricName {
				name = l.Value
			}
			return l.Name == scrape.MetricName
		})
		time := ""
		compound := familyOf[i].kind == kindHistogram || familyOf[i].kind == kindSummary
		if sample.HasTime && !compound {
			time = strconv.FormatInt(sample.Time, 10)
		}
		out.add(name, own, sample.Value, time)
	}
	slices.Sort(out)
	return out
}
