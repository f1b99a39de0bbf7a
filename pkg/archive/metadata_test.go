package archive

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func exampleMetadata() *Metadata {
	m := &Metadata{
		Target:         scrape.Target{Account: "Zebrium", Name: "192.168.120.51:9100.prometheus"},
		Common:         []scrape.Label{{Name: "instance", Value: "192.168.120.51:9100"}, {Name: "job", Value: "prometheus"}},
		Time:           1_584_152_545_363,
		OptionalLabels: []string{"instance", "job"},
		Generation:     1_584_152_540_123_456_789,
		Run:            1_584_152_540_123_456_780,
		Epoch:          1_584_152_546_000_001,
		Received:       1_584_152_546_000_000,
		Samples:        532,
		Inferred:       3,
	}
	for i := range m.Schema {
		m.Schema[i] = byte(i * 7)
	}
	return m
}

func TestMetadataGolden(t *testing.T) {
	unusual := exampleMetadata()
	unusual.Target = scrape.Target{Account: "<a&b>", Source: "eu", Name: "\"quote\" \\ \n\t\x01 \u2028 ü \xff"}
	unusual.Common = []scrape.Label{{Name: "empty", Value: ""}, {Name: "ü", Value: "zero width\u200b"}}
	unusual.Generation = -1
	for name, m := range map[string]*Metadata{
		"example": exampleMetadata(),
		"empty":   {},
		"unusual": unusual,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".json")
			got := m.Append(nil)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// TestMetadataOfOlderServer reads a file as the older server wrote it.
func TestMetadataOfOlderServer(t *testing.T) {
	for name, want := range map[string]*Metadata{
		"older-server.json": {
			Target:         scrape.Target{Account: "Zebrium", Name: "192.168.120.51:9100.prometheus"},
			Common:         []scrape.Label{{Name: "job", Value: "prometheus"}, {Name: "instance", Value: "192.168.120.51:9100"}},
			Time:           1_584_152_545_363,
			OptionalLabels: []string{"instance", "job"},
		},
		"older-server-null.json": {Target: scrape.Target{Account: "Zebrium", Name: "x.y"}, Time: 1},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeMetadata(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("metadata differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeMetadataErrors(t *testing.T) {
	for name, data := range map[string]string{
		"empty":            "",
		"cut off":          `{"account":"a"`,
		"two documents":    `{"account":"a"}{}`,
		"wrong type":       `{"dts":"1"}`,
		"schema too short": `{"schema":"00ff"}`,
		"schema not hex":   `{"schema":"zz"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := DecodeMetadata([]byte(data)); err == nil {
				t.Errorf("decoded %+v", m)
			}
		})
	}
}

// slowAppend encodes with encoding/json.
func slowAppend(t *testing.T, m *Metadata) []byte {
	t.Helper()
	d := document{
		Account: m.Target.Account, Type: "prometheus", IID: m.Target.Name, IsCompressed: true, KVs: []keyValue{}, DTS: m.Time,
		OLabels: append([]string{}, m.OptionalLabels...), Source: m.Target.Source, Generation: m.Generation, Run: m.Run, Epoch: m.Epoch,
		Received: m.Received, Samples: m.Samples, Inferred: m.Inferred, Schema: m.Schema.String(),
	}
	for _, l := range m.Common {
		d.KVs = append(d.KVs, keyValue{l.Name, l.Value})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func checkMetadata(t *testing.T, m *Metadata) {
	t.Helper()
	got := m.Append(nil)
	if diff := cmp.Diff(string(slowAppend(t, m)), string(got)); diff != "" {
		t.Fatalf("differs from encoding/json (-want +got):\n%s", diff)
	}
	back, err := DecodeMetadata(got)
	if err != nil {
		t.Fatal(err)
	}
	valid := cmp.Transformer("ValidUTF8", func(s string) string { return string([]rune(s)) })
	if diff := cmp.Diff(m, back, cmpopts.EquateEmpty(), valid); diff != "" {
		t.Fatalf("decoded metadata differs (-want +got):\n%s", diff)
	}
}

func TestMetadataProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	text := func() string {
		return []string{"", "a", "host:9100", "\"\\", "\x00\x1f\x7f", "\u2028\u2029", "<&>", "ü\xff", "\r\n\t\b\f"}[r.Intn(9)]
	}
	number := func() int64 { return []int64{0, 1, -1, math.MaxInt64, math.MinInt64, r.Int63()}[r.Intn(6)] }
	for range 2000 {
		m := &Metadata{
			Target: scrape.Target{Account: text(), Source: text(), Name: text()}, Time: number(), Generation: number(), Run: number(),
			Epoch: number(), Received: number(), Samples: r.Int(), Inferred: r.Int(),
		}
		for range r.Intn(3) {
			m.Common = append(m.Common, scrape.Label{Name: text(), Value: text()})
			m.OptionalLabels = append(m.OptionalLabels, text())
		}
		r.Read(m.Schema[:])
		checkMetadata(t, m)
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add([]byte(`{"account":"a","kvs":null,"olabels":["x"],"dts":1,"schema":""}`))
	f.Add(exampleMetadata().Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeMetadata(data)
		if err != nil {
			return
		}
		checkMetadata(t, m)
	})
}

func TestNewMetadata(t *testing.T) {
	schema := &scrape.Schema{
		OptionalLabels: []string{"instance"},
		Series: []scrape.Series{
			{Type: "gauge", Labels: []scrape.Label{{Name: "__name__", Value: "a"}, {Name: "instance", Value: "h"}, {Name: "x", Value: "1"}}},
			{Type: "gauge", Labels: []scrape.Label{{Name: "dropped", Value: "1"}}},
			{Type: "gauge", Labels: []scrape.Label{{Name: "__name__", Value: "a"}, {Name: "instance", Value: "h"}, {Name: "x", Value: "2"}}},
		},
	}
	state := &scrape.State{
		Scrape: scrape.Scrape{
			Generation: 12, Time: 1000, Epoch: 5_000_001, Received: 5_000_000, Schema: schema.Hash(),
			Values: []float64{1, 2, 3}, Inferred: []int32{0, 1},
		},
		Runs: []scrape.Run{{First: 1, Last: 3}, {First: 10, Last: 12}},
	}
	target := scrape.Target{Account: "acme", Source: "eu", Name: "h:1.j"}
	got := NewMetadata(target, state, expo.NewTemplate(schema))
	want := &Metadata{
		Target: target, Common: []scrape.Label{{Name: "instance", Value: "h"}}, Time: 1000, OptionalLabels: []string{"instance"}, Generation: 12, Run: 10,
		Epoch: 5_000_001, Received: 5_000_000, Samples: 2, Inferred: 1, Schema: schema.Hash(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata differs (-want +got):\n%s", diff)
	}
}

func TestSameScrape(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Metadata)
		want   bool
	}{
		{"all equal", func(*Metadata) {}, true},
		{"epoch", func(m *Metadata) { m.Epoch++ }, true},
		{"generation", func(m *Metadata) { m.Generation++ }, false},
		{"run", func(m *Metadata) { m.Run++ }, false},
		{"time", func(m *Metadata) { m.Time++ }, false},
		{"target", func(m *Metadata) { m.Target.Source = "x" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := exampleMetadata(), exampleMetadata()
			c.change(b)
			if a.SameScrape(b) != c.want || b.SameScrape(a) != c.want {
				t.Errorf("SameScrape = %t, want %t", !c.want, c.want)
			}
		})
	}
}

func BenchmarkMetadataAppend(b *testing.B) {
	m := exampleMetadata()
	buf := slices.Grow([]byte(nil), 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}
