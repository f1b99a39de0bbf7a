package zstatsv1

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEncodingGobReadsOurs and TestWeReadEncodingGobs: either side reads what the other writes, to the last bit.
func TestEncodingGobReadsOurs(t *testing.T) {
	r := newRandom(t, 1)
	for range 100 {
		want := r.request()
		got, err := gobDecode[Request](AppendRequest(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, equalRequests); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

func TestWeReadEncodingGobs(t *testing.T) {
	r, d := newRandom(t, 2), newDecoder(t)
	for range 100 {
		want := r.request()
		got, err := d.Decode(gobEncode(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, equalRequests); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

func TestNegativeZeroTravels(t *testing.T) {
	want := NewRequest("t", []Instance{{Instance: "i", Samples: []Sample{{Val: math.Copysign(0, -1)}}}})
	got, err := newDecoder(t).Decode(AppendRequest(nil, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equalRequests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMissingFields(t *testing.T) {
	type sample struct{ Val float64 }
	type instance struct {
		Instance string
		Samples  []sample
	}
	data := gobEncode(t, struct{ IData []instance }{[]instance{{"a", []sample{{1}, {2}}}, {}}})
	got, err := newDecoder(t).Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{IData: []Instance{{Instance: "a", Samples: []Sample{{Val: 1}, {Val: 2}}}, {}}}
	if diff := cmp.Diff(want, got, equalRequests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongShapes(t *testing.T) {
	type other struct{ A, B int }
	for name, v := range map[string]any{
		"no struct":           "text",
		"nothing known":       other{1, 2},
		"unsigned version":    struct{ Version uint8 }{1},
		"text as version":     struct{ Version string }{"1"},
		"bytes as token":      struct{ Token []byte }{[]byte("t")},
		"struct as instances": struct{ IData other }{other{1, 2}},
		"texts as instances":  struct{ IData []string }{[]string{"a"}},
		"array of instances":  struct{ IData [1]other }{[1]other{{1, 2}}},
		"map of instances":    struct{ IData map[string]other }{map[string]other{"a": {1, 2}}},
		"integers as names":   struct{ IData []struct{ OLabels []int } }{[]struct{ OLabels []int }{{[]int{1}}}},
		"integer as value": struct {
			IData []struct{ Samples []struct{ Val int } }
		}{[]struct{ Samples []struct{ Val int } }{{}}},
		"time as instances":       struct{ IData []time.Time }{[]time.Time{time.Unix(0, 0)}},
		"version too large":       struct{ Version int }{128},
		"version too small":       struct{ Version int }{-129},
		"count too large":         struct{ NInsts int }{1 << 31},
		"interface in an unknown": struct{ Version, X any }{X: 5},
	} {
		t.Run(name, func(t *testing.T) {
			data := gobEncode(t, v)
			got, err := newDecoder(t).Decode(data)
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %+v, %v", got, err)
			}
			compareWithGob(t, data, got, err)
		})
	}
}

func TestErrorsSayWhere(t *testing.T) {
	type sample struct {
		Idx int64
		Ls  []Label
	}
	type instance struct{ Samples []sample }
	data := gobEncode(t, struct{ IData []instance }{[]instance{{}, {[]sample{{Idx: 1}, {Idx: 70_000_000_000}}}}})
	_, err := newDecoder(t).Decode(data)
	const want = "malformed: IData[1].Samples[1].Idx: 70000000000 is out of range [-2147483648, 2147483647]"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestEveryTruncation cuts a request at every byte; TestEveryDamage changes every byte in several ways.
func TestEveryTruncation(t *testing.T) {
	data, d := AppendRequest(nil, twoBlobs()), newDecoder(t)
	for n := range data {
		if _, err := d.Decode(data[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("first %d bytes of %d: %v", n, len(data), err)
		}
	}
	if _, err := d.Decode(append(data, "what follows is ignored"...)); err != nil {
		t.Error(err)
	}
}

func TestEveryDamage(t *testing.T) {
	data, d := AppendRequest(nil, twoBlobs()), newDecoder(t)
	for i := range data {
		for _, change := range []byte{1, 0x80, 0xff} {
			damaged := append([]byte(nil), data...)
			damaged[i] ^= change
			got, err := d.Decode(damaged)
			compareWithGob(t, damaged, got, err)
		}
	}
}

func TestRequestOwnsItsStrings(t *testing.T) {
	d, limits := newDecoder(t), DefaultLimits()
	full, _ := nodeScrapes(t)
	data := AppendRequest(nil, NewRequest("token", []Instance{*full}))
	r, err := d.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	token := r.Token
	got, err := r.IData[0].Blob(limits)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if _, err := d.Decode(AppendRequest(nil, NewRequest("other", repeat(wideScrape(1000), 3)))); err != nil {
		t.Fatal(err)
	}
	want, err := full.Blob(limits)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || token != "token" {
		t.Errorf("token %q, blob (-want +got):\n%s", token, diff)
	}
}

// TestFewAllocations: equal strings are made once, and slices are cut from pieces that are used again.
func TestFewAllocations(t *testing.T) {
	_, incremental := nodeScrapes(t)
	for name, test := range map[string]struct {
		instances []Instance
		most      float64
	}{
		"50 incremental blobs": {repeat(incremental, 50), 60},
		"21,000 series":        {[]Instance{*wideScrape(21_000)}, 150},
	} {
		t.Run(name, func(t *testing.T) {
			data, d := AppendRequest(nil, NewRequest("token", test.instances)), newDecoder(t)
			allocs := testing.AllocsPerRun(5, func() {
				if _, err := d.Decode(data); err != nil {
					t.Fatal(err)
				}
			})
			if allocs > test.most {
				t.Errorf("%v allocations, want at most %v", allocs, test.most)
			}
		})
	}
}

func TestLargeScrapePasses(t *testing.T) {
	const series = 500_000
	d, limits := newDecoder(t), DefaultLimits()
	r, err := d.Decode(AppendRequest(nil, NewRequest("t", []Instance{*wideScrape(series)})))
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.IData[0].Blob(limits)
	if err != nil {
		t.Fatal(err)
	}
	last := b.Schema.Series[series-1]
	if b.Samples != series || last.Name() != "kube_pod_state_99" || !strings.HasPrefix(last.Help, "State number 99 ") {
		t.Errorf("%d samples, the last is %+v", b.Samples, last)
	}
}
