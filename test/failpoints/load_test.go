package failpoints

import (
	"fmt"
	"slices"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

const (
	targets     = 10
	generations = 6
	// unfitTarget is the target whose increments once contradict its state, in generation unfitGeneration. So the assembler
	// marks it, and ingest asks for a full blob.
	unfitTarget, unfitGeneration = 3, 2
	// refusedPrefix begins the names of targets whose blobs no server can take.
	refusedPrefix = "refused-"
	// huge is a value to which nothing as small as a half can be added.
	huge = 1e17
)

// blob is one scrape in both forms.
type blob struct {
	target      string
	schema      *scrape.Schema
	truth       *scrape.Scrape
	incremental *scrape.Blob // nil for the first of a run
	full        bool         // send it in full
	refused     bool         // no server can take it
}

// of returns the target of the blob.
func (b *blob) of() scrape.Target { return scrape.Target{Account: account, Name: b.target} }

// instance returns the blob as it is sent.
func (b *blob) instance() zstatsv1.Instance {
	if b.incremental != nil && !b.full {
		return zstatsv1.InstanceOf(b.target, b.incremental)
	}
	all := &scrape.Blob{
		Generation: b.truth.Generation, Time: b.truth.Time, Samples: len(b.truth.Values),
		Schema: b.schema, Values: b.truth.Values, Times: slices.Repeat([]int64{b.truth.Time}, len(b.truth.Values)),
	}
	in := zstatsv1.InstanceOf(b.target, all)
	if b.refused {
		in.NSamples++
	}
	return in
}

// source makes the scrapes of one target.
type source struct {
	name   string
	schema *scrape.Schema
	last   *scrape.Scrape
}

func newSource(name string, series int) *source {
	s := &source{name: name, schema: new(scrape.Schema)}
	for i := range series {
		s.schema.Series = append(s.schema.Series, scrape.Series{
			Labels: []scrape.Label{{Name: scrape.MetricName, Value: fmt.Sprintf("metric_%d", i)}, {Name: "instance", Value: name}},
			Help:   "Help.", Type: "gauge",
		})
	}
	return s
}

// firstGeneration is where each target's counter begins.
const firstGeneration = 1_795_333_095_000_000_000

// next returns the target's next scrape: all values but the first one grow by a half.
func (s *source) next() *blob {
	truth := &scrape.Scrape{Generation: firstGeneration, Schema: s.schema.Hash(), Values: make([]float64, len(s.schema.Series))}
	if s.last != nil {
		truth.Generation = s.last.Generation + 1
	}
	step := truth.Generation - firstGeneration
	truth.Time = 1_795_333_095_000 + 15_000*step
	truth.Values[0] = huge
	for i := range truth.Values[1:] {
		truth.Values[i+1] = float64(i) + 0.5*float64(step)
	}
	b := &blob{target: s.name, schema: s.schema, truth: truth}
	if s.last != nil {
		b.incremental = scrape.Increment(s.last, truth)
	}
	s.last = truth
	return b
}

// contradict makes the increment one that no value explains. The server rebuilds the truth all the same.
func (b *blob) contradict() {
	i := b.incremental
	i.Index = slices.Insert(i.Index, 0, 0)
	i.Values = slices.Insert(i.Values, 0, 0.5)
	i.Times = slices.Insert(i.Times, 0, i.Times[0])
}

// load is all that is sent, request by request.
type load struct {
	sources  []*source
	requests [][]*blob
	refused  []string // targets of the blobs that no server can take
}

func newLoad() *load {
	l := new(load)
	for i := range targets {
		l.sources = append(l.sources, newSource(fmt.Sprintf("10.0.0.%d:9100.node", i), 5))
	}
	for g := range generations {
		request := l.next()
		if g == unfitGeneration {
			request[unfitTarget].contradict()
		}
		if g == 0 || g == generations-1 {
			request = append(request, l.refuse(g)...)
		}
		l.requests = append(l.requests, request)
	}
	return l
}

// next returns the next scrape of each target.
func (l *load) next() []*blob {
	var all []*blob
	for _, s := range l.sources {
		all = append(all, s.next())
	}
	return all
}

// refuse returns two blobs that no server can take.
func (l *load) refuse(g int) []*blob {
	var all []*blob
	for i := range 2 {
		b := newSource(fmt.Sprintf(refusedPrefix+"%d-%d:1.j", g, i), 2).next()
		b.refused = true
		all = append(all, b)
		l.refused = append(l.refused, b.target)
	}
	return all
}

// wide returns one request with more messages than an atomic batch takes.
func wide() []*blob {
	var all []*blob
	for i := range 1100 {
		all = append(all, newSource(fmt.Sprintf("wide-%d:1.j", i), 1).next())
	}
	return all
}
