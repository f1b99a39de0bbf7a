package expo

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

func nan() float64          { return math.NaN() }
func inf() float64          { return math.Inf(1) }
func negativeZero() float64 { return math.Copysign(0, -1) }

func TestAppendErrors(t *testing.T) {
	schema := &scrape.Schema{Series: []scrape.Series{series("gauge", "a"), series("gauge", "b")}}
	for _, c := range []struct {
		name string
		s    scrape.Scrape
	}{
		{"too few values", scrape.Scrape{Values: []float64{1}}},
		{"too many values", scrape.Scrape{Values: []float64{1, 2, 3}}},
		{"stamp out of range", scrape.Scrape{Values: []float64{1, 2}, Stamps: []scrape.Stamp{{Index: 2}}}},
		{"negative stamp", scrape.Scrape{Values: []float64{1, 2}, Stamps: []scrape.Stamp{{Index: -1}}}},
		{"descending stamps", scrape.Scrape{Values: []float64{1, 2}, Stamps: []scrape.Stamp{{Index: 1}, {Index: 0}}}},
		{"stamp twice", scrape.Scrape{Values: []float64{1, 2}, Stamps: []scrape.Stamp{{Index: 1}, {Index: 1}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst, err := NewTemplate(schema).Append([]byte("before"), &c.s)
			if err == nil || string(dst) != "before" {
				t.Errorf("Append returns %q, %v", dst, err)
			}
		})
	}
}

func TestAppendKeepsWhatPrecedes(t *testing.T) {
	schema := &scrape.Schema{Series: []scrape.Series{series("gauge", "a")}}
	dst, err := NewTemplate(schema).Append([]byte("before\n"), &scrape.Scrape{Values: []float64{1}})
	if want := "before\n# HELP a Help of a.\n# TYPE a gauge\na{} 1.000000\n"; err != nil || string(dst) != want {
		t.Errorf("Append gives %q, %v, want %q", dst, err, want)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	schema, s := largeScrape()
	template := NewTemplate(schema)
	buf, err := template.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(10, func() {
		if buf, err = template.Append(buf[:0], s); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations with room in dst", allocations)
	}
}

// TestTemplateIsOfItsOwn changes the schema after a template was made of it.
func TestTemplateIsOfItsOwn(t *testing.T) {
	schema := &scrape.Schema{
		Series:         []scrape.Series{series("gauge", "a", "job", "x"), series("gauge", "b", "job", "x")},
		OptionalLabels: []string{"job"},
	}
	s := &scrape.Scrape{Values: []float64{1, 2}}
	template, before := render(t, schema, s)
	schema.OptionalLabels[0] = "z"
	schema.Series[0].Labels[1].Value = "y"
	schema.Series[1].Labels[0].Value = "c"
	after, err := template.Append(nil, s)
	if err != nil || string(after) != before {
		t.Errorf("text became %q, %v, was %q", after, err, before)
	}
	if diff := cmp.Diff(labels("job", "x"), template.Common()); diff != "" {
		t.Errorf("common labels became (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"job"}, template.OptionalLabels()); diff != "" {
		t.Errorf("optional labels became (-want +got):\n%s", diff)
	}
}

func TestTemplateConcurrently(t *testing.T) {
	schema := &scrape.Schema{Series: []scrape.Series{series("histogram", "h_bucket", "le", "1"), series("histogram", "h_count")}}
	template := NewTemplate(schema)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			v := float64(i - 4)
			text, err := template.Append(nil, &scrape.Scrape{Values: []float64{v, v}})
			kind := "histogram"
			if v < 0 {
				kind = "untyped"
			}
			want := fmt.Sprintf("# HELP h Help of h_bucket.\n# TYPE h %s\nh_bucket{le=\"1\"} %f\nh_count{} %f\n", kind, v, v)
			if err != nil || string(text) != want {
				t.Errorf("text is %q, %v, want %q", text, err, want)
			}
		})
	}
	group.Wait()
}

func TestSizeCountsText(t *testing.T) {
	small := NewTemplate(&scrape.Schema{Series: []scrape.Series{series("gauge", "a")}})
	large := NewTemplate(&scrape.Schema{Series: []scrape.Series{series("gauge", "a", "b", strings.Repeat("x", 10_000))}})
	if small.Size() <= 0 || large.Size() < small.Size()+10_000 {
		t.Errorf("sizes are %d and %d", small.Size(), large.Size())
	}
}

// TestManyLabels checks that a hostile series costs no quadratic time: it would take minutes.
func TestManyLabels(t *testing.T) {
	one := series("gauge", "a")
	for i := range 200_000 {
		one.Labels = append(one.Labels, scrape.Label{Name: fmt.Sprintf("l%d", 200_000-i), Value: "x"})
	}
	schema := &scrape.Schema{Series: []scrape.Series{one, one, series("gauge", "b")}}
	template, _ := render(t, schema, &scrape.Scrape{Values: []float64{1, 2, 3}})
	if n := len(template.Common()); n != 0 {
		t.Errorf("%d common labels", n)
	}
}
