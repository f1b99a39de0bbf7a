package expo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/scrape"
	recorded "github.com/zstats/zstats/test/corpus"
)

// gunzip decompresses exactly one member with the standard library and with klauspost's.
func gunzip(t testing.TB, data []byte) string {
	t.Helper()
	in := bytes.NewReader(data)
	a, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	a.Multistream(false)
	one, err := io.ReadAll(a)
	if err != nil {
		t.Fatal(err)
	}
	if in.Len() != 0 {
		t.Fatalf("%d bytes behind the member", in.Len())
	}
	if h := a.Header; h.Name != "" || h.Comment != "" || h.Extra != nil || !h.ModTime.IsZero() || h.OS != 255 {
		t.Fatalf("header is %+v", h)
	}
	b, err := kgzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	two, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Fatal("two readers read two texts")
	}
	return string(one)
}

// checkGzip compares AppendGzip with Append and returns what the former gives.
func checkGzip(t testing.TB, template *Template, s *scrape.Scrape) []byte {
	t.Helper()
	want, err := template.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	data, n, err := template.AppendGzip(nil, s, new(Compressor))
	if err != nil {
		t.Fatal(err)
	}
	if got := gunzip(t, data); got != string(want) || n != len(want) {
		t.Fatalf("%d bytes as of %d bytes, want %d bytes; first difference at %d", len(got), n, len(want), firstDifference(got, string(want)))
	}
	again, _, err := template.AppendGzip([]byte("before"), s, new(Compressor))
	if err != nil || string(again) != "before"+string(data) {
		t.Fatalf("the second time, behind other bytes, it gives other ones (%v)", err)
	}
	return data
}

func firstDifference(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// planOf returns the plan of a template.
func planOf(t *Template) *deflatePlan {
	t.PrepareGzip()
	return t.gzip.plan.Load()
}

// klauspostSize returns how many bytes a text takes with klauspost's fastest level.
func klauspostSize(t testing.TB, text []byte) int {
	t.Helper()
	var out bytes.Buffer
	z, err := kgzip.NewWriterLevel(&out, kgzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

func TestGzipGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/render/*.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			schema, s, _ := readGolden(t, input)
			checkGzip(t, NewTemplate(schema), s)
		})
	}
}

// TestGzipRecorded compresses recorded scrapes, and expects fewer bytes than a compressor gives that sees each text afresh.
func TestGzipRecorded(t *testing.T) {
	for name, read := range map[string]func() ([]recorded.Exposition, error){
		"node": recorded.Node, "prometheus": recorded.Prometheus, "churn": recorded.Churn,
	} {
		t.Run(name, func(t *testing.T) {
			all, err := read()
			if err != nil {
				t.Fatal(err)
			}
			parser := NewParser(target(), Limits{})
			var last *scrape.Schema
			var template *Template
			ours, theirs := 0, 0
			for _, e := range all {
				schema, s, err := parser.Parse(e.Body, textType, e.Time)
				if err != nil {
					t.Fatal(err)
				}
				if schema != last {
					last, template = schema, NewTemplate(schema)
				}
				ours += len(checkGzip(t, template, s))
				text, err := template.Append(nil, s)
				if err != nil {
					t.Fatal(err)
				}
				theirs += klauspostSize(t, text)
			}
			t.Logf("%d bytes a scrape, %d without a plan; template %d bytes, of these the plan %d", ours/len(all), theirs/len(all), template.Size(), planOf(template).size())
			if ours > theirs {
				t.Errorf("%d bytes, more than the %d without a plan", ours, theirs)
			}
		})
	}
}

func TestGzipLarge(t *testing.T) {
	schema, s := largeScrape()
	template := NewTemplate(schema)
	if n := len(planOf(template).blocks); n < 10 {
		t.Errorf("%d blocks", n)
	}
	data := checkGzip(t, template, s)
	text, err := template.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	if theirs := klauspostSize(t, text); len(data) > theirs {
		t.Errorf("%d bytes, more than the %d without a plan", len(data), theirs)
	}
}

func TestGzipRandom(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewSource(seed))}
	for i := range 3000 {
		g.wild = i%2 == 0
		schema := g.schema()
		template := NewTemplate(schema)
		for range 2 {
			checkGzip(t, template, g.scrape(schema))
		}
	}
}

// similar returns a schema of n gauges whose names and labels repeat each other's.
func similar(n, padding int) *scrape.Schema {
	schema := new(scrape.Schema)
	for i := range n {
		schema.Series = append(schema.Series, series("gauge", "disk_"+strconv.Itoa(i%97)+"_seconds", "device", "sd"+strconv.Itoa(i), "path", strings.Repeat("x", padding)))
	}
	return schema
}

// TestGzipCodes checks, on schemas that have hardly a character, that all that may be written has a code.
func TestGzipCodes(t *testing.T) {
	for _, schema := range []*scrape.Schema{{}, {Series: []scrape.Series{{Labels: labels(scrape.MetricName, "b")}}}, similar(2000, 5)} {
		for i, b := range planOf(NewTemplate(schema)).blocks {
			for _, char := range "0123456789.+-eNaInf " {
				if b.literals[char] == 0 {
					t.Errorf("block %d has no code for %q", i, char)
				}
			}
			if slices.Contains(b.lengths[:], 0) || slices.Contains(b.distances[:], 0) || b.zerosBits == 0 {
				t.Errorf("block %d has no code for a length, a distance or zeros", i)
			}
		}
	}
}

func TestGzipHostileValues(t *testing.T) {
	hostile := []float64{
		nan(), inf(), -inf(), 0, negativeZero(), math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64,
		-math.MaxFloat64, 0.1 + 0.2, -2.2250738585072011e-308, -1.7976931348623155e+308, 1 << 53, 1<<53 - 1, -9007199254740991,
		1e21, 123456.789012, -1e-7, 4503599627370495.5, 0.000001, -9007199254740990.5,
	}
	for _, v := range hostile {
		if n := len(AppendValue(nil, v)); n > maxValue {
			t.Errorf("%v takes %d bytes", v, n)
		}
	}
	for _, n := range []int{1, 2, 500, 3000} {
		template := NewTemplate(similar(n, 3))
		for shift := range hostile {
			s := &scrape.Scrape{}
			for i := range n {
				s.Values = append(s.Values, hostile[(i+shift)%len(hostile)])
			}
			checkGzip(t, template, s)
			if n > 1 {
				for i := range s.Values {
					s.Values[i] = hostile[shift]
				}
				checkGzip(t, template, s)
			}
		}
	}
}

// TestGzipLongestValues checks that no random float64 is longer than matches allow for.
func TestGzipLongestValues(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	for range 200_000 {
		v := math.Float64frombits(random.Uint64())
		w := (random.Float64() - 0.5) * math.Pow(10, float64(random.Intn(20)))
		for _, x := range []float64{v, w} {
			if text := AppendValue(nil, x); len(text) > maxValue {
				t.Fatalf("%s has %d bytes", text, len(text))
			}
		}
	}
}

// stampAll gives every sample the longest time.
func stampAll(s *scrape.Scrape) {
	s.Stamps = nil
	for i := range s.Values {
		s.Stamps = append(s.Stamps, scrape.Stamp{Index: int32(i), Time: math.MaxInt64})
	}
}

// TestGzipOutOfReach has a family again so far behind itself that times push its source beyond the distance that a match
// can have, by as little as one byte.
func TestGzipOutOfReach(t *testing.T) {
	far := 0
	for n := range 60 {
		schema := &scrape.Schema{}
		unique := rand.New(rand.NewSource(int64(n)))
		const name = "a_name_that_is_written_twice_and_is_long_enough_to_be_worth_a_match"
		schema.Series = append(schema.Series, series("gauge", name, "n", "1"))
		for range 400 {
			schema.Series = append(schema.Series, series("gauge", "u"+strconv.FormatUint(unique.Uint64(), 36)))
		}
		for range 30 + n {
			schema.Series = append(schema.Series, series("gauge", "v"+strconv.FormatUint(unique.Uint64(), 36)))
		}
		schema.Series = append(schema.Series, series("gauge", name, "n", "2"))
		template := NewTemplate(schema)
		s := &scrape.Scrape{Values: make([]float64, len(schema.Series))}
		for i := range s.Values {
			s.Values[i] = -1.7976931348623155e+308
		}
		checkGzip(t, template, s)
		stampAll(s)
		for i := range 40 {
			s.Stamps[i].Time = 10
		}
		checkGzip(t, template, s)
		if reachesTooFar(template, s) {
			far++
		}
	}
	if far == 0 {
		t.Error("no match was out of reach")
	}
}

// reachesTooFar reports whether a match of the plan is out of reach in the text of a scrape.
func reachesTooFar(t *Template, s *scrape.Scrape) bool {
	text, err := t.Append(nil, s)
	if err != nil {
		panic(err)
	}
	var e planEncoder
	e.encode(nil, planOf(t), text)
	start := int32(0)
	for i, p := range planOf(t).pieces {
		for _, o := range planOf(t).ops[start:p.ops] {
			if o.across > 0 && int(o.back)+int(e.moved[i]-e.moved[i-int(o.across)]) > maxDistance {
				return true
			}
		}
		start = p.ops
	}
	return false
}

// TestGzipReach moves a match byte by byte across the largest distance.
func TestGzipReach(t *testing.T) {
	for extra := range 80 {
		help := strings.Repeat("y", 31_000-42) + strings.Repeat("z", extra*40)
		schema := &scrape.Schema{Series: []scrape.Series{series("gauge", "some_rare_name_1"), series("gauge", "b"), series("gauge", "some_rare_name_2")}}
		schema.Series[1].Help = help
		template := NewTemplate(schema)
		for n := range 19 {
			s := &scrape.Scrape{Values: []float64{1, math.Pow10(n), 3}}
			stampAll(s)
			checkGzip(t, template, s)
		}
	}
}

func TestGzipLongPieces(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = 'a' + byte(random.Intn(26))
	}
	for name, help := range map[string]string{"repeated": strings.Repeat("help ", 60_000), "noise": string(noise), "every byte": everyRune()} {
		t.Run(name, func(t *testing.T) {
			schema := similar(40, 20)
			for i := range schema.Series {
				if i%9 == 4 {
					schema.Series[i].Help = help
				}
			}
			s := &scrape.Scrape{Values: make([]float64, 40)}
			checkGzip(t, NewTemplate(schema), s)
			stampAll(s)
			checkGzip(t, NewTemplate(schema), s)
		})
	}
}

// everyRune returns a text with every byte that UTF-8 has.
func everyRune() string {
	var b strings.Builder
	for r := rune(0); r < 0x110000; r += max(1, r/64) {
		b.WriteRune(r)
	}
	return b.String()
}

func TestGzipErrors(t *testing.T) {
	template := NewTemplate(similar(3, 1))
	data, n, err := template.AppendGzip([]byte("before"), &scrape.Scrape{Values: []float64{1}}, new(Compressor))
	if err == nil || string(data) != "before" || n != 0 {
		t.Errorf("AppendGzip returns %q, %d, %v", data, n, err)
	}
}

func TestGzipAllocatesNothing(t *testing.T) {
	schema, s := largeScrape()
	template := NewTemplate(schema)
	buf, _, err := template.AppendGzip(nil, s, new(Compressor))
	if err != nil {
		t.Fatal(err)
	}
	buf = slices.Grow(buf, 4096)
	b := new(Compressor)
	if buf, _, err = template.AppendGzip(buf[:0], s, b); err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(10, func() {
		if buf, _, err = template.AppendGzip(buf[:0], s, b); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations with room in dst", allocations)
	}
}

func TestGzipConcurrently(t *testing.T) {
	small, large := NewTemplate(similar(5, 2)), NewTemplate(similar(800, 2))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 5 {
				for template, n := range map[*Template]int{small: 5, large: 800} {
					s := &scrape.Scrape{Values: make([]float64, n)}
					s.Values[k] = float64(i)
					want, _ := template.Append(nil, s)
					data, _, err := template.AppendGzip(nil, s, new(Compressor))
					if err != nil {
						t.Error(err)
						return
					}
					r, err := gzip.NewReader(bytes.NewReader(data))
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
						t.Errorf("another text, %v", err)
					}
				}
			}
		})
	}
	group.Wait()
}

func TestSizeCountsPlan(t *testing.T) {
	schema, _ := largeScrape()
	template := NewTemplate(schema)
	before := template.Size()
	template.PrepareGzip()
	if got, want := template.Size()-before, planOf(template).size(); got != want {
		t.Errorf("size grew by %d with a plan of %d", got, want)
	}
	if size := planOf(template).size(); size < 16*len(planOf(template).ops) || template.Size() < size+len(template.text) {
		t.Errorf("size is %d, of this the plan %d", template.Size(), size)
	}
}

func FuzzAppendGzip(f *testing.F) {
	f.Add([]byte("a 1\nb{le=\"1\"} 2\n"), int64(1), uint8(0))
	f.Add(corpus(f, "prometheus.txt.gz"), int64(2), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, seed int64, copies uint8) {
		schema, s, err := Parse(body, textType, ParseOptions{Time: 1, ExtraLabels: target()})
		if err != nil || len(s.Values) > 5000 {
			return
		}
		g := &generator{Rand: rand.New(rand.NewSource(seed)), wild: true}
		repeated := &scrape.Schema{}
		for i := range int(copies) + 1 {
			for _, one := range schema.Series {
				one.Labels = append(slices.Clone(one.Labels), labels("copy", fmt.Sprint(i))...)
				repeated.Series = append(repeated.Series, one)
			}
			if len(repeated.Series) > 5000 {
				break
			}
		}
		checkGzip(t, NewTemplate(schema), s)
		checkGzip(t, NewTemplate(repeated), g.scrape(repeated))
	})
}
