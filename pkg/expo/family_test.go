package expo

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		name   string
		series []scrape.Series
		want   []string // family and type of each series
	}{
		{"types of their own", []scrape.Series{
			series("counter", "a_total"), series("gauge", "b"), series("unknown", "c"), series("untyped", "d"), series("", "e"),
			series("info", "f_info"), series("stateset", "g"), series("Counter", "h"),
		}, []string{"a_total counter", "b gauge", "c untyped", "d untyped", "e untyped", "f_info untyped", "g untyped", "h untyped"}},
		{"histogram", []scrape.Series{
			series("histogram", "h_bucket", "le", "1"), series("histogram", "h_bucket", "le", "+Inf"), series("histogram", "h_sum"), series("histogram", "h_count"),
		}, []string{"h histogram", "h histogram", "h histogram", "h histogram"}},
		{"summary", []scrape.Series{
			series("summary", "s", "quantile", "0.5"), series("summary", "s_sum"), series("summary", "s_count"),
		}, []string{"s summary", "s summary", "s summary"}},
		{"summary without quantiles", []scrape.Series{
			series("summary", "s_sum"), series("summary", "s_count"),
		}, []string{"s summary", "s summary"}},
		{"type that stuck to later families", []scrape.Series{
			series("summary", "s", "quantile", "0.5"), series("summary", "plain"), series("summary", "my_count"), series("histogram", "x_count"), series("histogram", "x_sum"),
		}, []string{"s summary", "plain untyped", "my_count untyped", "x_count untyped", "x_sum untyped"}},
		{"bounds that are missing or no numbers", []scrape.Series{
			series("histogram", "a_bucket"), series("histogram", "b_bucket", "le", "x"), series("histogram", "c_bucket", "le", "NaN"),
			series("histogram", "d_bucket", "le", "0x1p3"), series("histogram", "e", "le", "1"), series("summary", "f", "quantile", ""),
		}, []string{"a_bucket untyped", "b_bucket untyped", "c_bucket untyped", "d_bucket untyped", "e untyped", "f untyped"}},
		{"sum with a bound", []scrape.Series{
			series("histogram", "h_bucket", "le", "1"), series("histogram", "h_sum", "le", "1"),
		}, []string{"h_bucket untyped", "h_sum untyped"}},
		{"another family's series among the histogram's", []scrape.Series{
			series("histogram", "h_bucket", "le", "1"), series("gauge", "h_count"),
			series("histogram", "k_bucket", "le", "1"), series("counter", "k"),
			series("histogram", "l_bucket", "le", "1"), series("gauge", "l_bucket"),
		}, []string{"h_bucket untyped", "h_count gauge", "k_bucket untyped", "k counter", "l_bucket untyped", "l_bucket gauge"}},
		{"a bucket is no part of a summary", []scrape.Series{
			series("summary", "s", "quantile", "1"), series("gauge", "s_bucket"),
		}, []string{"s summary", "s_bucket gauge"}},
		{"histogram and summary of one name", []scrape.Series{
			series("histogram", "h_bucket", "le", "1"), series("summary", "h", "quantile", "1"),
		}, []string{"h_bucket untyped", "h untyped"}},
		{"name of a histogram is that of a summary's part", []scrape.Series{
			series("summary", "a", "quantile", "1"), series("histogram", "a_count_bucket", "le", "1"),
		}, []string{"a summary", "a_count_bucket untyped"}},
		{"one series twice", []scrape.Series{
			series("histogram", "h_bucket", "le", "1", "a", "b"), series("histogram", "h_bucket", "a", "b", "le", "1"),
		}, []string{"h_bucket untyped", "h_bucket untyped"}},
		{"histogram in pieces", []scrape.Series{
			series("histogram", "h_bucket", "le", "1"), series("gauge", "g"), series("histogram", "h_sum"),
		}, []string{"h histogram", "g gauge", "h histogram"}},
		{"quoted histogram", []scrape.Series{
			series("histogram", "h.x_bucket", "le", "1"), series("histogram", "h.x_sum"),
		}, []string{"h.x histogram", "h.x histogram"}},
		{"quoted histogram in pieces", []scrape.Series{
			series("histogram", "h.x_bucket", "le", "1"), series("gauge", "g"), series("histogram", "h.x_sum"),
		}, []string{"h.x_bucket untyped", "g gauge", "h.x_sum untyped"}},
		{"suffixes without a name", []scrape.Series{
			series("histogram", "_bucket", "le", "1"), series("histogram", "_sum"), series("summary", "_count"),
		}, []string{"_bucket untyped", "_sum untyped", "_count untyped"}},
		{"OpenMetrics", []scrape.Series{
			series("counter", "c_total"), series("counter", "c_created"), series("counter", "users_created"),
			series("histogram", "h_bucket", "le", "1.0"), series("histogram", "h_created"),
			series("gaugehistogram", "g_bucket", "le", "1.0"), series("gaugehistogram", "g_gsum"),
		}, []string{"c_total counter", "c_created untyped", "users_created counter", "h histogram", "h_created untyped", "g_bucket untyped", "g_gsum untyped"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := &scrape.Schema{Series: c.series}
			var got []string
			for _, f := range families(rowsOf(schema)) {
				got = append(got, f.name+" "+f.kind)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("families differ (-want +got):\n%s", diff)
			}
			s := &scrape.Scrape{Values: make([]float64, len(c.series))}
			checkExact(t, schema, s)
		})
	}
}
