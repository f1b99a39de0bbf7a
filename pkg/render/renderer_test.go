package render

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestRender reads what is rendered with the standard library, also of scrapes whose types change with their values.
func TestRender(t *testing.T) {
	recorded := node(t, 3)
	stamped := recorded[1]
	for i := range stamped.state.Values {
		stamped.state.Stamps = append(stamped.state.Stamps, scrape.Stamp{Index: int32(i), Time: int64(i)})
	}
	all := append(recorded, stamped, negativeBuckets(-1), negativeBuckets(1), input{schema: new(scrape.Schema)})
	for i := range all {
		all[i].target, all[i].state.Schema = recorded[0].target, all[i].schema.Hash()
	}
	r := newRenderer(t, all...)
	for i, in := range all {
		want, err := expo.NewTemplate(in.schema).Append(nil, &in.state.Scrape)
		if err != nil {
			t.Fatal(err)
		}
		text, err := r.Text(t.Context(), in.target, &in.state)
		if err != nil || text.Text != len(want) || !bytes.Equal(text.Data, want) {
			t.Errorf("scrape %d: %d bytes (%d said) are not the %d of the text: %v", i, len(text.Data), text.Text, len(want), err)
		}
		f, err := r.Gzip(t.Context(), in.target, &in.state)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Data))
		if err != nil {
			t.Fatal(err)
		}
		if z.Name != "" || !z.ModTime.IsZero() {
			t.Errorf("header has name %q and time %v", z.Name, z.ModTime)
		}
		got, err := io.ReadAll(z)
		if err != nil || f.Text != len(want) || !bytes.Equal(got, want) {
			t.Errorf("scrape %d: %d bytes (%d said) are not the %d of the text: %v", i, len(got), f.Text, len(want), err)
		}
	}
}

// TestRendererLetsGoOfLargeBuffers renders a small scrape after a large one.
func TestRendererLetsGoOfLargeBuffers(t *testing.T) {
	small := node(t, 1)[0]
	r := newRenderer(t, small)
	r.data = make([]byte, 0, maxKept+1)
	for range 2 {
		if _, err := r.Gzip(t.Context(), small.target, &small.state); err != nil {
			t.Fatal(err)
		}
	}
	if cap(r.data) > maxKept {
		t.Errorf("renderer keeps %d bytes", cap(r.data))
	}
}

// TestAdded renders a scrape whose schema came in a blob and is nowhere else.
func TestAdded(t *testing.T) {
	in := node(t, 1)[0]
	s, err := NewSchemas(Options{Log: fakeLog{}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRenderer(s)
	var refused *Refusal
	if _, err := r.Gzip(t.Context(), in.target, &in.state); !errors.As(err, &refused) || refused.Reason != ReasonNoSchema {
		t.Errorf("without a schema: %v, want %s", err, ReasonNoSchema)
	}
	s.Add(in.target.Account, in.state.Schema, in.schema)
	if _, err := r.Gzip(t.Context(), in.target, &in.state); err != nil {
		t.Errorf("with its schema: %v", err)
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
