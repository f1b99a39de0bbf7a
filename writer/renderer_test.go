package writer

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestRender reads what is rendered with the standard library, also of scrapes whose types change with their values.
func TestRender(t *testing.T) {
	recorded := node(t, 1, 3)
	stamped := recorded[1]
	for i := range stamped.state.Values {
		stamped.state.Stamps = append(stamped.state.Stamps, scrape.Stamp{Index: int32(i), Time: int64(i)})
	}
	r := new(renderer)
	for i, in := range append(recorded, stamped, negativeBuckets(-1), negativeBuckets(1), input{schema: new(scrape.Schema)}) {
		data, size, err := r.render(prepareAlone(in.schema), &in.state.Scrape)
		if err != nil {
			t.Fatal(err)
		}
		want, err := expo.NewTemplate(in.schema).Append(nil, &in.state.Scrape)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if z.Name != "" || !z.ModTime.IsZero() {
			t.Errorf("header has name %q and time %v", z.Name, z.ModTime)
		}
		got, err := io.ReadAll(z)
		if err != nil || size != len(want) || !bytes.Equal(got, want) {
			t.Errorf("scrape %d: %d bytes (%d said) are not the %d of the text: %v", i, len(got), size, len(want), err)
		}
	}
}

// negativeBuckets returns a scrape of a histogram, whose type is written otherwise if it has a negative count.
func negativeBuckets(count float64) input {
	series := func(name string, labels ...scrape.Label) scrape.Series {
		return scrape.Series{Type: "histogram", Labels: append(labels, scrape.Label{Name: scrape.MetricName, Value: name})}
	}
	return input{
		schema: &scrape.Schema{Series: []scrape.Series{
			series("h_bucket", scrape.Label{Name: "le", Value: "+Inf"}), series("h_sum"), series("h_count"),
		}},
		state: scrape.State{Scrape: scrape.Scrape{Values: []float64{count, 1, count}}},
	}
}
