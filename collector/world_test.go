package collector

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// exposition is what a target said once.
type exposition struct {
	text        string
	contentType string
	at          time.Time
}

// testTarget exposes one text after another, and remembers what it has said.
type testTarget struct {
	text func(n int) string // of the n-th scrape, from 0

	mu      sync.Mutex // guards all below
	n       int
	broken  http.HandlerFunc // answers instead, if set
	said    []exposition
	scraped []time.Time // every scrape, also those that were broken
}

func (t *testTarget) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if broken := t.fault(); broken != nil {
		broken(w, r)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := exposition{text: t.text(t.n), contentType: "text/plain; version=0.0.4", at: time.Now()}
	t.n++
	t.said = append(t.said, e)
	w.Header().Set("Content-Type", e.contentType)
	_, _ = io.WriteString(w, e.text)
}

// fault counts a scrape, and returns what answers instead of the target.
func (t *testTarget) fault() http.HandlerFunc {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scraped = append(t.scraped, time.Now())
	return t.broken
}

// counts returns how often the target was scraped, and how many of these scrapes it has answered.
func (t *testTarget) counts() (scraped, said int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.scraped), len(t.said)
}

func (t *testTarget) set(broken http.HandlerFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = broken
}

// world is a server and targets, for collectors to work in.
type world struct {
	t        *testing.T
	network  *network
	server   *testServer
	targets  map[string]*testTarget // by the name that the server knows
	options  Options
	registry *prometheus.Registry // of the last collector
	client   *http.Client
}

// newWorld makes a world with the given targets, which have hosts h0, h1 and so on.
func newWorld(t *testing.T, texts ...func(n int) string) *world {
	w := &world{t: t, network: new(network), server: newTestServer(t), targets: make(map[string]*testTarget)}
	w.network.serve(t, "server", w.server)
	w.client = w.network.client(t)
	w.options = Options{Server: "http://server", Token: testToken, Client: w.client, ScrapeClient: w.client}
	for i, text := range texts {
		host := fmt.Sprintf("h%d", i)
		target := &testTarget{text: text}
		w.targets[host+":80.job"] = target
		w.network.serve(t, host, target)
		w.options.Targets = append(w.options.Targets, Target{Job: "job", URL: "http://" + host})
	}
	return w
}

// target returns the n-th target.
func (w *world) target(n int) *testTarget { return w.targets[fmt.Sprintf("h%d:80.job", n)] }

// start starts a collector and returns what stops it.
func (w *world) start() (stop func()) {
	w.t.Helper()
	o := w.options
	w.registry = prometheus.NewPedanticRegistry()
	o.Registerer = w.registry
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	c, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run returns %v", err)
		}
	}
}

// aside is added to the time at which a collector stops, so that no scrape happens just then.
const aside = 300 * time.Millisecond

// run lets a collector work for some time.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	stop := w.start()
	time.Sleep(d + aside)
	stop()
}

// checkAll checks that the server has rebuilt, target by target and in order, exactly what was exposed.
func (w *world) checkAll() {
	w.t.Helper()
	for name, target := range w.targets {
		w.check(name, target.said)
	}
}

// check checks that the server has rebuilt exactly the given expositions.
func (w *world) check(name string, said []exposition) {
	w.t.Helper()
	got := w.server.rebuilt[name]
	if len(got) != len(said) {
		w.t.Errorf("%s: the server has %d scrapes of %d", name, len(got), len(said))
	}
	instance := strings.TrimSuffix(name, ".job")
	for i := range min(len(got), len(said)) {
		if diff := compare(instance, said[i], got[i]); diff != "" {
			w.t.Fatalf("%s: scrape %d differs from what was exposed (-exposed +rebuilt):\n%s", name, i, diff)
		}
	}
}

// sample is one sample, with its value's bits.
type sample struct {
	Labels     []scrape.Label
	Help, Type string
	Value      uint64
	Time       int64
}

// compare returns the difference between what was exposed and what was rebuilt.
func compare(instance string, e exposition, got stored) string {
	schema, s, err := expo.Parse([]byte(e.text), e.contentType, expo.ParseOptions{
		Time:        e.at.UnixMilli(),
		ExtraLabels: []scrape.Label{{Name: "instance", Value: instance}, {Name: "job", Value: "job"}},
	})
	if err != nil {
		return err.Error()
	}
	if s.Equal(&got.scrape) && schema.Hash() == got.schema.Hash() {
		return ""
	}
	return "schema, values or times:\n" + cmp.Diff(samples(schema, s), samples(got.schema, &got.scrape)) +
		cmp.Diff(schema.OptionalLabels, got.schema.OptionalLabels)
}

func samples(schema *scrape.Schema, s *scrape.Scrape) []sample {
	blob := fullBlob(schema, s)
	out := make([]sample, len(s.Values))
	for i := range out {
		series := &schema.Series[i]
		out[i] = sample{series.Labels, series.Help, series.Type, math.Float64bits(s.Values[i]), blob.Times[i]}
	}
	return out
}

// metric returns the value of a counter or gauge, by its name without the prefix and the values of its labels.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "zstats_collector_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			if len(labels) == 0 || m.GetLabel()[0].GetValue() == labels[0] {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// checkMetrics compares metrics, written as name or name{label value}.
func (w *world) checkMetrics(want map[string]float64) {
	w.t.Helper()
	for key, value := range want {
		name, label, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
		var labels []string
		if label != "" {
			labels = []string{label}
		}
		if got := w.metric(name, labels...); got != value {
			w.t.Errorf("metric %s is %v, not %v", key, got, value)
		}
	}
}
