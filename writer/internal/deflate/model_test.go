package deflate

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
)

// recordings are the recorded scrapes by name.
func recordings() map[string]func() ([]corpus.Exposition, error) {
	return map[string]func() ([]corpus.Exposition, error){
		"node": corpus.Node, "prometheus": corpus.Prometheus, "churn": corpus.Churn,
	}
}

// texts returns what a template renders: first with all values 0, then the recorded scrapes of the same schema.
func texts(tb testing.TB, recorded func() ([]corpus.Exposition, error)) [][]byte {
	tb.Helper()
	all, err := recorded()
	if err != nil {
		tb.Fatal(err)
	}
	parser := expo.NewParser([]scrape.Label{{Name: "instance", Value: "a:9100"}, {Name: "job", Value: "node"}}, expo.Limits{})
	var first *scrape.Schema
	var template *expo.Template
	var out [][]byte
	for _, r := range all {
		schema, s, err := parser.Parse(r.Body, "text/plain", r.Time)
		if err != nil {
			tb.Fatal(err)
		}
		if first == nil {
			first, template = schema, expo.NewTemplate(schema)
			out = append(out, render(tb, template, &scrape.Scrape{Values: make([]float64, len(s.Values))}))
		}
		if schema == first {
			out = append(out, render(tb, template, s))
		}
	}
	return out
}

func render(tb testing.TB, t *expo.Template, s *scrape.Scrape) []byte {
	tb.Helper()
	text, err := t.Append(nil, s)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// check encodes a text and decodes it with the standard library.
func check(t *testing.T, m *Model, text []byte, e *Encoder) {
	t.Helper()
	data, ok := m.Append([]byte("before"), text, e)
	if !ok {
		t.Fatalf("a text of %d bytes is not of the model's kind", len(text))
	}
	rest, found := bytes.CutPrefix(data, []byte("before"))
	if !found {
		t.Fatal("what was there before is gone")
	}
	in := bytes.NewReader(rest)
	r, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r) // to the end of the input, and with the checksum
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, text) {
		t.Fatalf("text of %d bytes is another after gunzip", len(text))
	}
	if again, _ := m.Append(nil, text, new(Encoder)); !bytes.Equal(again, rest) {
		t.Fatal("a new encoder gives other bytes")
	}
}

func TestRecordedScrapes(t *testing.T) {
	for name, recorded := range recordings() {
		t.Run(name, func(t *testing.T) {
			all := texts(t, recorded)
			m := NewModel(all[0])
			e := new(Encoder)
			for _, text := range all {
				check(t, m, text, e)
			}
		})
	}
}

// TestAnyValue puts values of all kinds and lengths, and times, where the model had zeros.
func TestAnyValue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	e := new(Encoder)
	for lines := range 40 {
		m := NewModel(exposition(lines*lines, func(int) string { return "0.000000" }))
		for range 4 {
			check(t, m, exposition(lines*lines, func(int) string { return value(random) }), e)
		}
	}
}

// exposition returns a text of that many samples.
func exposition(lines int, value func(i int) string) []byte {
	var b bytes.Buffer
	for i := range lines {
		if i%7 == 0 {
			fmt.Fprintf(&b, "# HELP metric_%d What it is, \\n and é.\n# TYPE metric_%d gauge\n", i/7, i/7)
		}
		fmt.Fprintf(&b, "metric_%d{path=\"/a b/%d\", zone=\"%c\"} %s\n", i/7, i*i, 'a'+rune(i%26), value(i))
	}
	return b.Bytes()
}

func value(random *rand.Rand) string {
	switch random.IntN(8) {
	case 0:
		return "NaN"
	case 1:
		return []string{"+Inf", "-Inf"}[random.IntN(2)]
	case 2:
		return strconv.FormatFloat(math.Float64frombits(random.Uint64()), 'g', -1, 64)
	case 3:
		return "-2.2250738585072014e-308"
	case 4:
		return strconv.Itoa(random.IntN(1e6)) + ".000000 1584152545363"
	case 5:
		return "0.000000"
	default:
		return strconv.Itoa(random.IntN(100)) + ".000000"
	}
}

func TestOtherTextsAreRefused(t *testing.T) {
	sample := exposition(30, func(int) string { return "0.000000" })
	m := NewModel(sample)
	end := bytes.LastIndexByte(sample, ' ')
	tests := map[string][]byte{
		"empty":             nil,
		"one line less":     exposition(29, func(int) string { return "0.000000" }),
		"one line more":     exposition(31, func(int) string { return "0.000000" }),
		"another name":      bytes.Replace(sample, []byte("metric_2{"), []byte("metric_x{"), 1),
		"cut":               sample[:len(sample)-1],
		"cut in a value":    sample[:end+3],
		"no value":          sample[:end+1],
		"unknown character": bytes.Replace(sample, []byte("0.000000"), []byte("0Z000000"), 1),
		"something behind":  append(bytes.Clone(sample), "x"...),
	}
	e := new(Encoder)
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			before := []byte("before")
			if got, ok := m.Append(before, text, e); ok || string(got) != "before" {
				t.Errorf("Append: %q, %v; want it refused", got, ok)
			}
			check(t, m, sample, e) // the encoder can still be used
		})
	}
}

// TestValuesLongerThanValuesAre makes matches reach further back than they can.
func TestValuesLongerThanValuesAre(t *testing.T) {
	long := strings.Repeat("1", 5000)
	sample := exposition(100, func(int) string { return "0.000000" })
	m := NewModel(sample)
	e := new(Encoder)
	text := exposition(100, func(i int) string { return long[i:] })
	if _, ok := m.Append(nil, text, e); ok {
		check(t, m, text, e)
	}
	check(t, m, sample, e)
	if _, ok := m.Append(nil, exposition(100, func(i int) string { return long + long }), e); ok {
		t.Error("values that lie further apart than a match can reach are taken")
	}
}

func TestSize(t *testing.T) {
	small, large := NewModel(exposition(10, strconv.Itoa)), NewModel(exposition(1000, strconv.Itoa))
	if small.Size() >= large.Size() || large.Size() < len(large.text) {
		t.Errorf("sizes are %d and %d", small.Size(), large.Size())
	}
}

// FuzzAppend makes a model of one text and encodes another: it is refused, or it can be read back.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("# TYPE a gauge\na{} 0.000000\n"), []byte("# TYPE a gauge\na{} 1.000000\n"))
	f.Add([]byte("a 0\na 0\n"), []byte("a 1e9\na NaN 5\n"))
	f.Add([]byte(" 0\n 0\n 0\n 0\n"), []byte(" 1\n 1111111\n 1111111\n 0\n"))
	f.Add([]byte("\n\n#"), []byte("\n\n#"))
	f.Fuzz(func(t *testing.T, sample, text []byte) {
		m := NewModel(sample)
		e := new(Encoder)
		if _, ok := m.Append(nil, text, e); ok {
			check(t, m, text, e)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, recorded := range recordings() {
		b.Run(name, func(b *testing.B) {
			all := texts(b, recorded)
			m := NewModel(all[0])
			e := new(Encoder)
			var out []byte
			b.ReportAllocs()
			n, size := 0, 0
			for b.Loop() {
				text := all[1+n%(len(all)-1)]
				out, _ = m.Append(out[:0], text, e)
				n++
				size += len(out)
				b.SetBytes(int64(len(text)))
			}
			b.ReportMetric(float64(size)/float64(n), "gz-B")
			b.ReportMetric(float64(m.Size()), "model-B")
		})
	}
}

func BenchmarkNewModel(b *testing.B) {
	all := texts(b, corpus.Node)
	b.ReportAllocs()
	for b.Loop() {
		NewModel(all[0])
	}
}
