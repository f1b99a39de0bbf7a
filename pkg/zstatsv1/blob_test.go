package zstatsv1

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

func fullInstance() *Instance { return &twoBlobs().IData[0] }

func incrementalInstance() *Instance {
	return &Instance{Instance: "h:1.j", NSamples: 5, IsIncr: true, Gen: 101, GTs: 2000, Samples: []Sample{
		{Idx: 0, Ts: 1000, Val: 1}, {Idx: 2, Ts: -5, Val: -0.5}, {Idx: 4},
	}}
}

func TestFullBlob(t *testing.T) {
	in := fullInstance()
	in.Samples[1].Ls = nil // dropped by metric relabelling
	got, err := in.Blob(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := &scrape.Blob{
		Generation: 100, Time: 1000, Samples: 2,
		Values: []float64{1.5, math.NaN()},
		Times:  []int64{1000, 990},
		Schema: &scrape.Schema{
			Series: []scrape.Series{
				{Labels: []Label{{Name: "__name__", Value: "a"}, {Name: "instance", Value: "h:1"}, {Name: "job", Value: "j"}}, Help: "A.", Type: "counter"},
				{Labels: []Label{}, Help: "B.", Type: "gauge"},
			},
			OptionalLabels: []string{"instance", "job"},
		},
	}
	want.Values[1] = in.Samples[1].Val
	if ls := got.Schema.Series[0].Labels; cap(ls) > len(ls) {
		t.Errorf("appending to one series' labels would overwrite the next's")
	}
	if diff := cmp.Diff(want, got, equalRequests); diff != "" || !got.Full() {
		t.Errorf("full %v (-want +got):\n%s", got.Full(), diff)
	}
}

func TestIncrementalBlob(t *testing.T) {
	got, err := incrementalInstance().Blob(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := &scrape.Blob{
		Generation: 101, Time: 2000, Samples: 5,
		Index: []int32{0, 2, 4}, Values: []float64{1, -0.5, 0}, Times: []int64{1000, -5, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Full() {
		t.Errorf("full %v (-want +got):\n%s", got.Full(), diff)
	}
}

func TestUnchangedBlob(t *testing.T) {
	in := incrementalInstance()
	in.Samples = nil
	got, err := in.Blob(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got.Full() || got.Samples != 5 || got.Index == nil || len(got.Values) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestInstanceOfReverses(t *testing.T) {
	full, incremental := nodeScrapes(t)
	for _, want := range []*Instance{full, incremental, fullInstance(), incrementalInstance(), wideScrape(500)} {
		b, err := want.Blob(DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got := InstanceOf(want.Instance, b)
		if diff := cmp.Diff(want, &got, equalRequests); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestRefusedBlobs(t *testing.T) {
	label := func(i, j int) func(in *Instance) *Label {
		return func(in *Instance) *Label { return &in.Samples[i].Ls[j] }
	}
	long := strings.Repeat("x", DefaultLimits().StringBytes+1)
	for name, change := range map[string]func(in *Instance){
		"no name":                     func(in *Instance) { in.Instance = "" },
		"name not UTF-8":              func(in *Instance) { in.Instance = "a\xff.b" },
		"name with NUL":               func(in *Instance) { in.Instance = "a\x00.b" },
		"name with newline":           func(in *Instance) { in.Instance = "a\n.b" },
		"name with C1 control":        func(in *Instance) { in.Instance = "a\u0085.b" },
		"name too long":               func(in *Instance) { in.Instance = strings.Repeat("x", MaxNameBytes+1) },
		"no samples":                  func(in *Instance) { in.NSamples, in.Samples = 0, nil },
		"negative count":              func(in *Instance) { in.NSamples = -2 },
		"count too small":             func(in *Instance) { in.NSamples = 1 },
		"count too large":             func(in *Instance) { in.NSamples = 3 },
		"count beyond the limit":      func(in *Instance) { in.NSamples = DefaultLimits().Samples + 1 },
		"descending":                  func(in *Instance) { in.Samples[0].Idx, in.Samples[1].Idx = 1, 0 },
		"twice the same position":     func(in *Instance) { in.Samples[1].Idx = 0 },
		"starts at 1":                 func(in *Instance) { in.Samples[0].Idx, in.Samples[1].Idx = 1, 2 },
		"negative position":           func(in *Instance) { in.Samples[0].Idx = -1 },
		"label without name":          func(in *Instance) { label(1, 2)(in).Name = "" },
		"label name not UTF-8":        func(in *Instance) { label(1, 2)(in).Name = "\xc3\x28" },
		"label name too long":         func(in *Instance) { label(1, 2)(in).Name = long },
		"label value not UTF-8":       func(in *Instance) { label(1, 2)(in).Value = "\xed\xa0\x80" },
		"label value too long":        func(in *Instance) { label(1, 2)(in).Value = long },
		"label twice":                 func(in *Instance) { label(1, 2)(in).Name = "instance" },
		"label twice, not adjacent":   func(in *Instance) { label(1, 2)(in).Name = "__name__" },
		"label twice in the first":    func(in *Instance) { label(0, 2)(in).Name = "__name__" },
		"too many labels":             func(in *Instance) { in.Samples[0].Ls = manyLabels(DefaultLimits().Labels + 1) },
		"help not UTF-8":              func(in *Instance) { in.Samples[1].Help = "\xff" },
		"help too long":               func(in *Instance) { in.Samples[1].Help = long },
		"type with space":             func(in *Instance) { in.Samples[1].Type = "a b" },
		"type with newline":           func(in *Instance) { in.Samples[1].Type = "a\nb 1" },
		"type not ASCII":              func(in *Instance) { in.Samples[0].Type = "zähler" },
		"type too long":               func(in *Instance) { in.Samples[0].Type = strings.Repeat("x", MaxTypeBytes+1) },
		"optional label without name": func(in *Instance) { in.OLabels[1] = "" },
		"optional label not UTF-8":    func(in *Instance) { in.OLabels[0] = "\xff" },
		"too many optional labels":    func(in *Instance) { in.OLabels = make([]string, DefaultLimits().OptionalLabels+1) },
	} {
		t.Run(name, func(t *testing.T) {
			in := fullInstance()
			change(in)
			b, err := in.Blob(DefaultLimits())
			if !errors.Is(err, ErrRefused) || errors.Is(err, ErrResend) || b != nil {
				t.Errorf("got %+v, %v", b, err)
			}
		})
	}
}

func manyLabels(n int) []Label {
	ls := make([]Label, n)
	for i := range ls {
		ls[i] = Label{Name: fmt.Sprintf("l%04d", i), Value: "v"}
	}
	return ls
}

func TestLegalOddities(t *testing.T) {
	for name, change := range map[string]func(in *Instance){
		"longest name":          func(in *Instance) { in.Instance = strings.Repeat("x", MaxNameBytes) },
		"URL as name":           func(in *Instance) { in.Instance = "https://example.com/a/b?c=ü.blackbox" },
		"no labels":             func(in *Instance) { in.Samples[0].Ls = nil },
		"no metric name":        func(in *Instance) { in.Samples[0].Ls = in.Samples[0].Ls[1:] },
		"unsorted labels":       func(in *Instance) { ls := in.Samples[0].Ls; ls[0], ls[2] = ls[2], ls[0] },
		"any text in a value":   func(in *Instance) { in.Samples[0].Ls[1].Value = "\x00\n\"\\ü\u200b" },
		"empty value":           func(in *Instance) { in.Samples[0].Ls[1].Value = "" },
		"unknown type":          func(in *Instance) { in.Samples[0].Type = "quantum" },
		"no type":               func(in *Instance) { in.Samples[0].Type = "" },
		"the same series twice": func(in *Instance) { in.Samples[1].Ls = in.Samples[0].Ls },
		"most labels":           func(in *Instance) { in.Samples[0].Ls = manyLabels(DefaultLimits().Labels) },
	} {
		t.Run(name, func(t *testing.T) {
			in := fullInstance()
			change(in)
			b, err := in.Blob(DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			got := InstanceOf(in.Instance, b)
			if diff := cmp.Diff(in, &got, equalRequests); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlobsToSendAgain(t *testing.T) {
	for name, test := range map[string]struct {
		change    func(in *Instance)
		notFinite bool
	}{
		"descending":               {func(in *Instance) { in.Samples[1].Idx, in.Samples[2].Idx = 4, 2 }, false},
		"twice the same":           {func(in *Instance) { in.Samples[1].Idx = 0 }, false},
		"negative":                 {func(in *Instance) { in.Samples[0].Idx = -1 }, false},
		"out of range":             {func(in *Instance) { in.Samples[2].Idx = 5 }, false},
		"more entries than scrape": {func(in *Instance) { in.NSamples = 2 }, false},
		"no samples":               {func(in *Instance) { in.NSamples, in.Samples = 0, nil }, false},
		"beyond the limit":         {func(in *Instance) { in.NSamples = DefaultLimits().Samples + 1 }, false},
		"NaN":                      {func(in *Instance) { in.Samples[1].Val = math.NaN() }, true},
		"infinite":                 {func(in *Instance) { in.Samples[1].Val = math.Inf(1) }, true},
		"negative infinite":        {func(in *Instance) { in.Samples[1].Val = math.Inf(-1) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := incrementalInstance()
			test.change(in)
			b, err := in.Blob(DefaultLimits())
			if !errors.Is(err, ErrResend) || errors.Is(err, ErrRefused) || b != nil {
				t.Fatalf("got %+v, %v", b, err)
			}
			if errors.Is(err, ErrNotFinite) != test.notFinite {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBadNameIsRefused in either form: no full blob would have a better name.
func TestBadNameIsRefused(t *testing.T) {
	in := incrementalInstance()
	in.Instance = "a\nb"
	if _, err := in.Blob(DefaultLimits()); !errors.Is(err, ErrRefused) || errors.Is(err, ErrResend) {
		t.Errorf("got %v", err)
	}
}

// TestBlobsKeepNothing: a blob shares no memory with the instance that it was made of.
func TestBlobsKeepNothing(t *testing.T) {
	in := fullInstance()
	got, err := in.Blob(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	clear(in.Samples[0].Ls)
	clear(in.OLabels)
	clear(in.Samples)
	want, err := fullInstance().Blob(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equalRequests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
