package archive

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestFormMakesNoDifference sends random scrapes once as full blobs only and once as a full blob and increments, with the
// schema changing now and then, and compares the files: paths, metadata and text are the same to the last byte, apart from
// values that are marked as inferred.
func TestFormMakesNoDifference(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			truth := randomScrapes(r, 30)
			full, mixed := new(scrape.State), new(scrape.State)
			for i, s := range truth {
				at := scrape.Arrival{Received: 1_700_000_000_000_000 + int64(i), Sequence: uint64(i + 1)}
				full = apply(t, full, s.full(), at)
				b := s.full()
				if i > 0 && s.schema == truth[i-1].schema {
					if inc := scrape.Increment(truth[i-1].scrape, s.scrape); finite(inc) {
						inc.Generation = s.scrape.Generation
						b = inc
					}
				}
				mixed = apply(t, mixed, b, at)
				compareFiles(t, s.schema, full, mixed)
			}
		})
	}
}

type sentScrape struct {
	schema *scrape.Schema
	scrape *scrape.Scrape
}

// randomScrapes makes consecutive scrapes with counters, gauges of all magnitudes, special values and times of their own.
func randomScrapes(r *rand.Rand, n int) []sentScrape {
	var all []sentScrape
	schema := randomSchema(r)
	values := make([]float64, len(schema.Series))
	for i := range n {
		if i > 0 && r.IntN(10) == 0 {
			schema = randomSchema(r)
			values = make([]float64, len(schema.Series))
		}
		s := &scrape.Scrape{Generation: int64(1000 + i), Time: int64(1_700_000_000_000 + 15_000*i), Schema: schema.Hash()}
		for j := range values {
			values[j] = step(r, values[j])
			if r.IntN(20) == 0 {
				s.Stamps = append(s.Stamps, scrape.Stamp{Index: int32(j), Time: s.Time - int64(r.IntN(1000)) - 1})
			}
		}
		s.Values = append([]float64(nil), values...)
		all = append(all, sentScrape{schema, s})
	}
	return all
}

func randomSchema(r *rand.Rand) *scrape.Schema {
	schema := &scrape.Schema{OptionalLabels: []string{"instance"}}
	for i := range 1 + r.IntN(12) {
		schema.Series = append(schema.Series, scrape.Series{
			Labels: []scrape.Label{{Name: scrape.MetricName, Value: fmt.Sprintf("m_%d", i)}, {Name: "instance", Value: "h:1"}},
			Help:   "Help.", Type: "gauge",
		})
	}
	return schema
}

func step(r *rand.Rand, v float64) float64 {
	switch r.IntN(8) {
	case 0:
		return v
	case 1:
		return r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
	case 2:
		return math.Round(r.Float64()*1e6) / 1e3
	case 3:
		return []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 5e-324}[r.IntN(6)]
	default:
		return v + float64(r.IntN(100))
	}
}

func (s sentScrape) full() *scrape.Blob {
	b := &scrape.Blob{
		Generation: s.scrape.Generation, Time: s.scrape.Time, Samples: len(s.scrape.Values),
		Schema: s.schema, Values: s.scrape.Values, Times: make([]int64, len(s.scrape.Values)),
	}
	for i := range b.Times {
		b.Times[i] = s.scrape.Time
	}
	for _, stamp := range s.scrape.Stamps {
		b.Times[stamp.Index] = stamp.Time
	}
	return b
}

func finite(b *scrape.Blob) bool {
	for _, v := range b.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

func apply(t *testing.T, st *scrape.State, b *scrape.Blob, at scrape.Arrival) *scrape.State {
	t.Helper()
	next, o := st.Apply(b, at)
	if o.Verdict != scrape.Accepted {
		t.Fatalf("generation %d: %+v", b.Generation, o)
	}
	return next
}

func compareFiles(t *testing.T, schema *scrape.Schema, full, mixed *scrape.State) {
	t.Helper()
	target := scrape.Target{Account: "acme", Name: "h:1.j"}
	if a, b := ScrapePaths(target, full.Epoch), ScrapePaths(target, mixed.Epoch); a != b {
		t.Fatalf("paths %v and %v", a, b)
	}
	template := expo.NewTemplate(schema)
	metaFull, metaMixed := NewMetadata(target, full, template), NewMetadata(target, mixed, template)
	metaMixed.Inferred = 0 // the only difference there may be
	if a, b := metaFull.Append(nil), metaMixed.Append(nil); !bytes.Equal(a, b) {
		t.Fatalf("metadata differ:\n%s%s", a, b)
	}
	// With the inferred values replaced by the true ones, the texts must be the same.
	patched := mixed.Scrape
	patched.Values = append([]float64(nil), mixed.Values...)
	for _, i := range mixed.Inferred {
		patched.Values[i] = full.Values[i]
	}
	a, err := template.Append(nil, &full.Scrape)
	if err != nil {
		t.Fatal(err)
	}
	b, err := template.Append(nil, &patched)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Fatalf("generation %d: texts differ:\n%s\n%s", full.Generation, a, b)
	}
}
