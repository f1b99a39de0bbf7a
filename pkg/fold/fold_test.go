package fold

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

func blob(generation int64, full bool, values ...float64) *scrape.Blob {
	b := &scrape.Blob{Generation: generation, Time: generation, Samples: 2, Values: values, Times: make([]int64, len(values))}
	if !full {
		b.Index = []int32{0, 1}[:len(values)]
		return b
	}
	b.Times = []int64{generation, generation}
	b.Schema = &scrape.Schema{Series: []scrape.Series{
		{Labels: []scrape.Label{{Name: scrape.MetricName, Value: "a"}}}, {Labels: []scrape.Label{{Name: scrape.MetricName, Value: "b"}}},
	}}
	return b
}

// TestApply folds messages with all that they may hold.
func TestApply(t *testing.T) {
	tests := []struct {
		name     string
		blobs    []*scrape.Blob
		accepted int
		refused  []string
		full     bool
		resync   string
	}{
		{"a chain", []*scrape.Blob{blob(1, true, 1, 2), blob(2, false, 1), blob(3, false, 1)}, 3, nil, true, ""},
		{"a gap", []*scrape.Blob{blob(1, true, 1, 2), blob(3, false, 1)}, 1, []string{scrape.ReasonGap}, true, scrape.ReasonGap},
		{"full behind a gap", []*scrape.Blob{blob(5, false, 1), blob(6, true, 1, 2)}, 1, []string{scrape.ReasonNoState}, true, ""},
		{"twice", []*scrape.Blob{blob(1, true, 1, 2), blob(1, true, 1, 2)}, 1, nil, true, ""},
		{"not proven", []*scrape.Blob{blob(1, true, 1e6, 2), blob(2, false, 0.3-1e6)}, 2, nil, true, ReasonStrict},
		{"nothing", nil, 0, nil, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen := 0
			r, err := Apply(nil, Message{Blobs: tt.blobs}, true, func(*scrape.Blob) { seen++ })
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			for _, b := range r.Refused {
				refused = append(refused, b.Reason)
			}
			if diff := cmp.Diff(tt.refused, refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if len(r.Accepted) != tt.accepted || r.Full != tt.full || r.Resync != tt.resync || seen != len(tt.blobs) || len(r.Outcomes) != seen {
				t.Errorf("got %d accepted, full %v, resync %q, %d seen, %d outcomes", len(r.Accepted), r.Full, r.Resync, seen, len(r.Outcomes))
			}
		})
	}
}

func TestPoison(t *testing.T) {
	target := scrape.Target{Account: "a", Name: "h:1.j"}
	header := event.TargetHeader(target)
	header[event.HeaderReceived] = "1"
	reason := func(err error) string {
		var p *Poison
		if !errors.As(err, &p) {
			return ""
		}
		return p.Reason
	}
	_, noTime := Decode(event.TargetHeader(target), 1, nil)
	_, garbage := Decode(header, 1, []byte("x"))
	_, nameless := Owner(event.Header{}, event.RawSubject(target, 8), 8)
	_, elsewhere := Owner(header, "zs.raw.0.b.c", 8)
	_, own := Owner(header, event.RawSubject(target, 8), 8)
	_, panics := Apply(nil, Message{Blobs: []*scrape.Blob{blob(1, true, 1, 2)}}, false, func(*scrape.Blob) { panic("no") })
	for what, test := range map[string]struct {
		err  error
		want string
	}{
		"no time": {noTime, ReasonUndecodable}, "garbage": {garbage, ReasonUndecodable}, "no name": {nameless, ReasonMisplaced},
		"another's subject": {elsewhere, ReasonMisplaced}, "its own": {own, ""}, "panic": {panics, ReasonPanic},
	} {
		if got := reason(test.err); got != test.want {
			t.Errorf("%s: %v, want reason %q", what, test.err, test.want)
		}
	}
}
