package render

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

func oneSeries(name string) *scrape.Schema {
	return &scrape.Schema{Series: []scrape.Series{{Labels: []scrape.Label{{Name: scrape.MetricName, Value: name}}}}}
}

func sizeOf(t *testing.T, name string) int {
	t.Helper()
	return int(prepareAlone(oneSeries(name)).bytes)
}

func newCache(t *testing.T, limit int) *templateCache {
	t.Helper()
	c, err := newTemplateCache(int64(limit), NewMetrics("", nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(i int) templateKey {
	k := templateKey{account: "a"}
	k.hash[0] = byte(i)
	return k
}

func TestTemplateCacheForgetsWhatWasNotUsed(t *testing.T) {
	size := sizeOf(t, "m0")
	c := newCache(t, 3*size)
	loads := 0
	get := func(i int) {
		t.Helper()
		got, err := c.get(key(i), 0, func() (*prepared, error) { loads++; return prepareAlone(oneSeries("m0")), nil })
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
	}
	for _, i := range []int{0, 1, 2, 0, 1, 2} {
		get(i)
	}
	if loads != 3 {
		t.Errorf("%d loads for three templates that fit", loads)
	}
	get(0)
	get(3) // takes the place of 1
	get(0)
	get(2)
	if loads != 4 {
		t.Errorf("%d loads, want 4", loads)
	}
	get(1)
	if loads != 5 {
		t.Errorf("%d loads, want 5: the template that was used least recently is still there", loads)
	}
	if c.bytes != int64(3*size) || testutil.ToFloat64(c.metrics.Bytes) != float64(3*size) {
		t.Errorf("cache has %d bytes and says %v, want %d", c.bytes, testutil.ToFloat64(c.metrics.Bytes), 3*size)
	}
}

func TestTemplateCacheKeepsNothingLargerThanItself(t *testing.T) {
	c := newCache(t, sizeOf(t, "m")-1)
	for range 2 {
		if got, err := c.get(key(0), 0, func() (*prepared, error) { return prepareAlone(oneSeries("m")), nil }); err != nil || got.Written() != 1 {
			t.Fatalf("get: %v, %v", got, err)
		}
	}
	if c.bytes != 0 || testutil.ToFloat64(c.metrics.Misses) != 2 {
		t.Errorf("cache has %d bytes after %v misses, want none after 2", c.bytes, testutil.ToFloat64(c.metrics.Misses))
	}
}

// TestTemplateCacheLoadsOnce has many ask at a time. What was loaded successfully is loaded once; a failure is not kept.
func TestTemplateCacheLoadsOnce(t *testing.T) {
	c := newCache(t, 1<<20)
	errLoad := errors.New("not now")
	if _, err := c.get(key(0), 0, func() (*prepared, error) { return nil, errLoad }); !errors.Is(err, errLoad) {
		t.Errorf("get: %v, want %v", err, errLoad)
	}
	var loads atomic.Int32
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			got, err := c.get(key(0), 0, func() (*prepared, error) { loads.Add(1); return prepareAlone(oneSeries("m")), nil })
			if err != nil || got == nil {
				t.Errorf("get: %v, %v", got, err)
			}
		})
	}
	running.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

// TestTemplateCacheKeepsSourcesApart checks that who could read a schema elsewhere does not share the failure of who could
// not.
func TestTemplateCacheKeepsSourcesApart(t *testing.T) {
	c := newCache(t, 1<<20)
	entered, leave := make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		_, err := c.get(key(0), 1, func() (*prepared, error) {
			close(entered)
			<-leave
			return nil, errors.New("no source")
		})
		if err == nil {
			t.Error("get from source 1 succeeded")
		}
	})
	<-entered
	if _, err := c.get(key(0), 2, func() (*prepared, error) { return prepareAlone(oneSeries("m")), nil }); err != nil {
		t.Errorf("get from source 2: %v", err)
	}
	close(leave)
	running.Wait()
}

// prepareAlone makes a schema ready that shares nothing.
func prepareAlone(schema *scrape.Schema) *prepared {
	p := &prepared{Template: expo.NewTemplate(schema)}
	p.PrepareGzip()
	p.bytes = int64(p.Size())
	return p
}

func TestSchemasWithOneTextShareWork(t *testing.T) {
	c := newCache(t, 1<<20)
	schema := func(instance, metric string) *scrape.Schema {
		return &scrape.Schema{Series: []scrape.Series{{Labels: []scrape.Label{
			{Name: scrape.MetricName, Value: metric}, {Name: "instance", Value: instance},
		}}}}
	}
	one, two, other := c.prepare(schema("a", "m")), c.prepare(schema("b", "m")), c.prepare(schema("a", "n"))
	s := &scrape.Scrape{Values: []float64{1}}
	data := func(p *prepared) string {
		out, _, err := p.AppendGzip(nil, s, new(expo.Compressor))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if data(one) != data(two) || data(one) == data(other) {
		t.Error("the data of templates with one text differ, or those of two texts don't")
	}
	if one.Common()[0].Value != "a" || two.Common()[0].Value != "b" {
		t.Errorf("common labels %v and %v", one.Common(), two.Common())
	}
	if c.texts.Len() != 2 {
		t.Errorf("%d texts are remembered, want 2", c.texts.Len())
	}
}
