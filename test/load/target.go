package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// Target is something to scrape.
type Target struct {
	Name   string
	Series int
}

// target makes the scrapes of one target.
type target struct {
	Target
	account    string
	random     *rand.Rand
	schema     *scrape.Schema
	generation int64
	last       *scrape.Scrape
}

// item is one scrape on its way.
type item struct {
	name        string
	schema      *scrape.Schema
	truth       *scrape.Scrape
	incremental *scrape.Blob // nil for the first of a run
	needFull    bool         // the server has asked for it
	sent        checker.Sent
}

func newTarget(account string, t Target, random *rand.Rand) *target {
	g := &target{Target: t, account: account, random: random}
	g.restart()
	return g
}

// restart begins a new run with other series, as a collector does when it or its target restarts.
func (t *target) restart() {
	t.generation = max(time.Now().UnixNano(), t.generation+1)
	t.last = nil
	t.schema = new(scrape.Schema)
	for i := range t.Series + t.random.IntN(3) {
		t.schema.Series = append(t.schema.Series, scrape.Series{
			Labels: []scrape.Label{
				{Name: scrape.MetricName, Value: fmt.Sprintf("metric_%d", i%50)}, {Name: "i", Value: fmt.Sprint(i)}, {Name: "job", Value: "load"},
			},
			Help: "A metric.", Type: []string{"counter", "gauge"}[i%2],
		})
	}
}

// next returns the target's next scrape.
func (t *target) next() *item {
	truth := &scrape.Scrape{
		Generation: t.generation, Time: time.Now().UnixMilli(), Schema: t.schema.Hash(), Values: make([]float64, len(t.schema.Series)),
	}
	for i := range truth.Values {
		truth.Values[i] = t.value(i)
	}
	it := &item{name: t.Name, schema: t.schema, truth: truth}
	it.sent = checker.Describe(scrape.Target{Account: t.account, Name: t.Name}, t.schema, truth)
	if t.last != nil {
		it.incremental = scrape.Increment(t.last, truth)
	}
	t.last = truth
	t.generation++
	return it
}

// value returns the next value of series i: whole counters, gauges with fractions, some that stand still, and now and then a
// value that no difference leads to.
func (t *target) value(i int) float64 {
	before := 0.0
	if t.last != nil {
		before = t.last.Values[i]
	}
	switch {
	case t.random.IntN(20_000) == 0:
		return math.NaN()
	case math.IsNaN(before):
		return 1
	case i%2 == 1:
		return math.Round(t.random.Float64()*1e6) / 100
	case i%3 == 0:
		return before
	}
	return before + float64(t.random.IntN(5))
}

// instance returns the blob as it travels.
func (it *item) instance() zstatsv1.Instance {
	if it.incremental != nil && !it.needFull {
		return zstatsv1.InstanceOf(it.name, it.incremental)
	}
	b := &scrape.Blob{
		Generation: it.truth.Generation, Time: it.truth.Time, Samples: len(it.truth.Values),
		Schema: it.schema, Values: it.truth.Values, Times: make([]int64, len(it.truth.Values)),
	}
	for i := range b.Times {
		b.Times[i] = it.truth.Time
	}
	return zstatsv1.InstanceOf(it.name, b)
}
