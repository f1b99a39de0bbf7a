package collector

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/corpus"
)

// maker makes the blobs of one target.
type maker struct {
	t      testing.TB
	text   func(n int) string
	n      int
	clock  func(n int) time.Time
	parser *expo.Parser
	chain  chain
}

func newMaker(t testing.TB, text func(n int) string) *maker {
	labels := []scrape.Label{{Name: instanceLabel, Value: "h:80"}, {Name: jobLabel, Value: "job"}}
	return &maker{t: t, text: text, clock: everyQuarter, parser: expo.NewParser(labels, expo.Limits{})}
}

// everyQuarter is the clock of scrapes that are 15 s apart.
func everyQuarter(n int) time.Time { return time.Unix(1_700_000_000+15*int64(n), 0) }

// link makes the next blob without committing it.
func (m *maker) link() link {
	m.t.Helper()
	at := m.clock(m.n)
	schema, s, err := m.parser.Parse([]byte(m.text(m.n)), "", at.UnixMilli())
	if err != nil {
		m.t.Fatal(err)
	}
	m.n++
	l, err := m.chain.next(schema, s, at)
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

func (m *maker) next() *pending {
	m.t.Helper()
	l := m.link()
	m.chain.commit(l)
	return newPending("h:80.job", l)
}

// texts exposes one text after another.
func texts(all ...string) func(n int) string { return func(n int) string { return all[n] } }

func TestReasonForAFullBlob(t *testing.T) {
	for _, tc := range []struct {
		name, before, after string
		proven              bool
		want                reason
	}{
		{"counter", "a 1\n", "a 2\n", false, reasonNone},
		{"nothing changed", "a 1\n", "a 1\n", false, reasonNone},
		{"NaN stays", "a NaN\n", "a NaN\n", false, reasonNone},
		{"Inf stays", "a +Inf\n", "a +Inf\n", false, reasonNone},
		{"inferred and right", "a 3\n", "a 0.1\n", false, reasonNone},
		{"inferred and right, but not proven", "a 3\n", "a 0.1\n", true, reasonUnproven},
		{"counter, proven", "a 1\n", "a 2\n", true, reasonNone},
		{"inferred and wrong", "a 1e16\n", "a 0.12345678901234567\n", false, reasonInexact},
		{"+0 to -0", "a 0\n", "a -0\n", false, reasonInexact},
		{"from NaN", "a NaN\n", "a 1\n", false, reasonNonFinite},
		{"to NaN", "a 1\n", "a NaN\n", false, reasonNonFinite},
		{"to Inf", "a 1\n", "a +Inf\n", false, reasonNonFinite},
		{"overflow", "a 1.7e308\n", "a -1.7e308\n", false, reasonNonFinite},
		{"series added", "a 1\n", "a 1\nb 1\n", false, reasonSchema},
		{"series removed", "a 1\nb 1\n", "a 1\n", false, reasonSchema},
		{"last series removed", "a 1\nb 1\n", "a 1\n", false, reasonSchema},
		{"order", "a 1\nb 1\n", "b 1\na 1\n", false, reasonSchema},
		{"label", "a{b=\"c\"} 1\n", "a{b=\"d\"} 1\n", false, reasonSchema},
		{"HELP", "# HELP a x\na 1\n", "# HELP a y\na 1\n", false, reasonSchema},
		{"TYPE", "# TYPE a gauge\na 1\n", "# TYPE a counter\na 1\n", false, reasonSchema},
		{"time comes", "a 1\n", "a 1 1700000000123\n", false, reasonNone},
		{"time goes", "a 1 1700000000123\n", "a 1\n", false, reasonNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMaker(t, texts(tc.before, tc.after))
			m.chain.proven = tc.proven
			if first := m.next(); first.why != reasonFirst || !first.full {
				t.Errorf("the first blob is full: %v, for %q", first.full, first.why)
			}
			p := m.next()
			if p.why != tc.want || p.full != (tc.want != reasonNone) || p.full != (p.delta == nil) {
				t.Errorf("the second blob is full: %v, for %q, not %q", p.full, p.why, tc.want)
			}
		})
	}
}

func TestGenerations(t *testing.T) {
	m := newMaker(t, texts("a 1\n", "a 2\n", "a NaN\n", "b 1\n", "b 2\n", "c 1\n"))
	at := func(n int) int64 { return everyQuarter(n).UnixNano() }
	for i, want := range []int64{at(0), at(0) + 1, at(0) + 2, at(3), at(3) + 1, at(5)} {
		if got := m.next().scrape.Generation; got != want {
			t.Errorf("generation %d is %d, not %d", i, got, want)
		}
	}
}

// A clock that is set back makes no generation come twice.
func TestGenerationsNeverGoBack(t *testing.T) {
	m := newMaker(t, texts("a 1\n", "b 1\n", "b 2\n", "c 1\n"))
	m.clock = func(n int) time.Time { return everyQuarter(-n) }
	before := m.next().scrape.Generation
	for range 3 {
		got := m.next().scrape.Generation
		if got != before+1 {
			t.Errorf("generation %d comes after %d", got, before)
		}
		before = got
	}
}

// A link that is not committed leaves the chain as it was.
func TestUncommittedLink(t *testing.T) {
	m := newMaker(t, texts("a 1\n", "a 2\n", "a 5\n", "b 1\n", "a 6\n"))
	first := m.next()
	m.link()
	p := m.next()
	if p.scrape.Generation != first.scrape.Generation+1 || p.delta.Values[0] != 4 {
		t.Errorf("generation %d with %v follows %d", p.scrape.Generation, p.delta.Values, first.scrape.Generation)
	}
	m.link() // another schema, not committed
	if p = m.next(); p.full || p.delta.Values[0] != 1 {
		t.Errorf("a blob behind one that was not committed: full %v", p.full)
	}
}

// What the chain lets pass as an incremental blob is rebuilt to the last bit, by the wire's own way.
func TestChainIsExact(t *testing.T) {
	for seed := range int64(200) {
		m := newMaker(t, random(seed))
		var st *scrape.State
		for n := range 30 {
			p := m.next()
			in := zstatsv1.InstanceOf(p.target, p.blob())
			blob, err := in.Blob(zstatsv1.DefaultLimits())
			if err != nil {
				t.Fatalf("seed %d, scrape %d: %v", seed, n, err)
			}
			var out scrape.Outcome
			if st, out = st.Apply(blob, scrape.Arrival{}); out.Verdict != scrape.Accepted {
				t.Fatalf("seed %d, scrape %d: %v", seed, n, out)
			}
			_, want, err := expo.Parse([]byte(random0(seed, n)), "", expo.ParseOptions{
				Time: p.scrape.Time, ExtraLabels: []scrape.Label{{Name: "instance", Value: "h:80"}, {Name: "job", Value: "job"}},
			})
			if err != nil || !st.Equal(want) {
				t.Fatalf("seed %d, scrape %d: rebuilt %v, exposed %v, %v", seed, n, st.Values, want.Values, err)
			}
		}
	}
}

// random0 returns the n-th text of random.
func random0(seed int64, n int) string {
	text := random(seed)
	for range n {
		text(0)
	}
	return text(0)
}

// The policy on real scrapes: almost everything is incremental.
func TestRecordedScrapesAreIncremental(t *testing.T) {
	for _, tc := range []struct {
		name  string
		read  func() ([]corpus.Exposition, error)
		fulls map[reason]int
	}{
		{"node", corpus.Node, map[reason]int{reasonFirst: 1}},
		{"prometheus", corpus.Prometheus, map[reason]int{reasonFirst: 1, reasonSchema: 1, reasonInexact: 1}},
	} {
		all, err := tc.read()
		if err != nil {
			t.Fatal(err)
		}
		m := newMaker(t, recorded(t, tc.read))
		got := make(map[reason]int)
		for range all {
			if p := m.next(); p.full {
				got[p.why]++
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.fulls) {
			t.Errorf("%s: full blobs %v of %d, want %v", tc.name, got, len(all), tc.fulls)
		}
	}
}

func TestFullBlob(t *testing.T) {
	m := newMaker(t, texts("a 1\nb NaN 1700000000123\nc -0\n"))
	b := m.next().blob()
	want := []int64{1_700_000_000_000, 1_700_000_000_123, 1_700_000_000_000}
	if !b.Full() || b.Samples != 3 || fmt.Sprint(b.Times) != fmt.Sprint(want) || !math.Signbit(b.Values[2]) {
		t.Errorf("the blob is %+v", b)
	}
}

func BenchmarkScrapeToBlob(b *testing.B) {
	text := recorded(b, corpus.Node)
	bodies := make([][]byte, 40)
	for i := range bodies {
		bodies[i] = []byte(text(i))
	}
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	parser := newMaker(b, nil).parser
	var c chain
	for i := 0; b.Loop(); i++ {
		schema, s, err := parser.Parse(bodies[i%len(bodies)], "", int64(i))
		if err != nil {
			b.Fatal(err)
		}
		l, err := c.next(schema, s, time.Unix(int64(i), 0))
		if err != nil {
			b.Fatal(err)
		}
		c.commit(l)
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	m := newMaker(b, recorded(b, corpus.Node))
	m.next()
	var pendings []*pending
	for range 30 {
		pendings = append(pendings, m.next())
	}
	for _, full := range []bool{false, true} {
		b.Run(map[bool]string{false: formIncremental, true: formFull}[full], func(b *testing.B) {
			b.ReportAllocs()
			c := client{token: testToken, metrics: newMetrics()}
			size := 0
			for b.Loop() {
				instances := make([]zstatsv1.Instance, len(pendings))
				for i, p := range pendings {
					p.full = full
					instances[i] = zstatsv1.InstanceOf(p.target, p.blob())
				}
				size = len(c.encode(instances))
			}
			b.ReportMetric(float64(size)/float64(len(pendings)), "B/blob")
		})
	}
}
