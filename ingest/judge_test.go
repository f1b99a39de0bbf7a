package ingest

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// full and incr are blobs of a target with 3 samples.
func full(generation int64) incoming {
	return incoming{generation: generation, full: true, blob: &scrape.Blob{Generation: generation, Samples: 3, Schema: &scrape.Schema{}}}
}

func incr(generation int64) incoming {
	return incoming{generation: generation, blob: &scrape.Blob{Generation: generation, Samples: 3}}
}

// of gives the blob another number of samples.
func (b incoming) of(samples int) incoming {
	blob := *b.blob
	blob.Samples = samples
	b.blob = &blob
	return b
}

// bad is the blob as it is when the wire's form is wrong.
func (b incoming) bad(err error) incoming {
	b.blob, b.err = nil, fmt.Errorf("sample 7: %w", err)
	return b
}

// word names a verdict in the table below: "store", "dup", "refuse", or the reason for a full blob.
func word(v verdict) string {
	switch v.action {
	case actionStore:
		return "store"
	case actionDuplicate:
		return "dup"
	case actionRefuse:
		return "refuse"
	default:
		return string(v.reason)
	}
}

func TestJudge(t *testing.T) {
	var (
		errNotFinite = fmt.Errorf("%w: %w", zstatsv1.ErrResend, zstatsv1.ErrNotFinite)
		errStructure = zstatsv1.ErrResend
		errRefused   = zstatsv1.ErrRefused
		head         = &event.Head{Run: scrape.Run{First: 5, Last: 10}, Samples: 3, FullSequence: 100}
		atEnd        = &event.Head{Run: scrape.Run{First: math.MaxInt64, Last: math.MaxInt64}, Samples: 3, FullSequence: 1}
	)
	tests := []struct {
		name  string
		head  *event.Head
		mark  uint64
		blobs []incoming
		want  []string
		// runs are those that end with each stored blob.
		runs     []scrape.Run
		doubtful bool
	}{
		{name: "nothing", head: head},
		{name: "first incremental", blobs: []incoming{incr(1)}, want: []string{"no_head"}, doubtful: true},
		{name: "first full", blobs: []incoming{full(1)}, want: []string{"store"}, runs: []scrape.Run{{First: 1, Last: 1}}},
		{
			name: "full, then what follows it", blobs: []incoming{full(7), incr(8), incr(9)},
			want: []string{"store", "store", "store"}, runs: []scrape.Run{{First: 7, Last: 7}, {First: 7, Last: 8}, {First: 7, Last: 9}},
		},
		{
			name: "follows the head", head: head, blobs: []incoming{incr(11), incr(12)},
			want: []string{"store", "store"}, runs: []scrape.Run{{First: 5, Last: 11}, {First: 5, Last: 12}},
		},
		{
			name: "full that follows the head extends its run", head: head, blobs: []incoming{full(11).of(4), incr(12).of(4)},
			want: []string{"store", "store"}, runs: []scrape.Run{{First: 5, Last: 11}, {First: 5, Last: 12}},
		},
		{name: "gap", head: head, blobs: []incoming{incr(12)}, want: []string{"gap"}, doubtful: true},
		{name: "before the run", head: head, blobs: []incoming{incr(4)}, want: []string{"gap"}, doubtful: true},
		{
			name: "gap within the request", head: head, blobs: []incoming{incr(11), incr(13), incr(14)},
			want: []string{"store", "gap", "order"}, runs: []scrape.Run{{First: 5, Last: 11}}, doubtful: true,
		},
		{name: "another number of samples", head: head, blobs: []incoming{incr(11).of(2)}, want: []string{"count"}, doubtful: true},
		{name: "inside the run", head: head, blobs: []incoming{incr(5), full(8), incr(10)}, want: []string{"dup", "dup", "dup"}},
		{
			name: "end of the run and what follows", head: head, blobs: []incoming{incr(9), incr(10), incr(11)},
			want: []string{"dup", "dup", "store"}, runs: []scrape.Run{{First: 5, Last: 11}},
		},
		{
			name: "full of an older generation", head: head, blobs: []incoming{full(2), incr(3)},
			want: []string{"store", "store"}, runs: []scrape.Run{{First: 2, Last: 2}, {First: 2, Last: 3}},
		},
		{
			name: "twice in one request", head: head, blobs: []incoming{full(20), full(20), incr(20)},
			want: []string{"store", "dup", "dup"}, runs: []scrape.Run{{First: 20, Last: 20}},
		},
		{
			name: "end of one run and start of the next", head: head, blobs: []incoming{incr(11), full(1000), incr(1001)},
			want: []string{"store", "store", "store"}, runs: []scrape.Run{{First: 5, Last: 11}, {First: 1000, Last: 1000}, {First: 1000, Last: 1001}},
		},
		{
			name: "the same again after a lost answer", head: &event.Head{Run: scrape.Run{First: 1000, Last: 1001}, Samples: 3, FullSequence: 100},
			blobs: []incoming{incr(11), full(1000), incr(1001)}, want: []string{"gap", "order", "order"}, doubtful: true,
		},
		{
			name: "full behind the first code 1", head: head, blobs: []incoming{incr(12), full(13), incr(14)},
			want: []string{"gap", "order", "order"}, doubtful: true,
		},
		{name: "duplicate behind the first code 1", head: head, blobs: []incoming{incr(12), incr(9)}, want: []string{"gap", "order"}, doubtful: true},
		{name: "not finite", head: head, blobs: []incoming{incr(11).bad(errNotFinite), full(12)}, want: []string{"non_finite", "order"}},
		{name: "wrong structure", head: head, blobs: []incoming{incr(11).bad(errStructure), incr(12)}, want: []string{"structure", "order"}},
		{name: "not finite and a gap", head: head, blobs: []incoming{incr(12).bad(errNotFinite)}, want: []string{"gap"}, doubtful: true},
		{name: "not finite, but in the log", head: head, blobs: []incoming{incr(10).bad(errNotFinite)}, want: []string{"dup"}},
		{
			name: "refused", head: head, blobs: []incoming{full(11).bad(errRefused), full(12)},
			want: []string{"refuse", "store"}, runs: []scrape.Run{{First: 12, Last: 12}},
		},
		{
			name: "refused blob leaves a gap", head: head, blobs: []incoming{full(11).bad(errRefused), incr(12)},
			want: []string{"refuse", "gap"}, doubtful: true,
		},
		{name: "refused behind the first code 1", head: head, blobs: []incoming{incr(12), full(13).bad(errRefused)}, want: []string{"gap", "refuse"}, doubtful: true},
		{
			name: "mark before the last full blob", head: head, mark: 99, blobs: []incoming{incr(11), incr(10)},
			want: []string{"store", "dup"}, runs: []scrape.Run{{First: 5, Last: 11}},
		},
		{name: "marked", head: head, mark: 100, blobs: []incoming{incr(11), full(12)}, want: []string{"resync", "order"}, doubtful: true},
		{name: "marked, inside the run", head: head, mark: 100, blobs: []incoming{incr(10)}, want: []string{"resync"}, doubtful: true},
		{
			name: "marked, full inside the run", head: head, mark: 100, blobs: []incoming{full(10), incr(11)},
			want: []string{"store", "store"}, runs: []scrape.Run{{First: 10, Last: 10}, {First: 10, Last: 11}},
		},
		{
			name: "marked, several full", head: head, mark: 200, blobs: []incoming{full(9), full(10), full(10)},
			want: []string{"store", "store", "dup"}, runs: []scrape.Run{{First: 9, Last: 9}, {First: 9, Last: 10}},
		},
		{
			name: "marked, full that follows", head: head, mark: 100, blobs: []incoming{full(11), incr(12)},
			want: []string{"store", "store"}, runs: []scrape.Run{{First: 5, Last: 11}, {First: 5, Last: 12}},
		},
		{name: "marked without a head", mark: 100, blobs: []incoming{incr(11)}, want: []string{"no_head"}, doubtful: true},
		{name: "last generation there is", head: atEnd, blobs: []incoming{incr(math.MinInt64)}, want: []string{"gap"}, doubtful: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(tt.head, tt.mark, tt.blobs)
			var words []string
			for _, v := range got.verdicts {
				words = append(words, word(v))
			}
			if diff := cmp.Diff(tt.want, words); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			var runs []scrape.Run
			for _, a := range got.store {
				runs = append(runs, a.run)
			}
			if diff := cmp.Diff(tt.runs, runs); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			if got.doubtful != tt.doubtful {
				t.Errorf("doubtful = %v, want %v", got.doubtful, tt.doubtful)
			}
		})
	}
}

// TestJudgeKeepsItsInput: the head may be a cache's, and the blobs are judged again by another one.
func TestJudgeKeepsItsInput(t *testing.T) {
	head := event.Head{Run: scrape.Run{First: 5, Last: 10}, Samples: 3, FullSequence: 100}
	kept := head
	blobs := []incoming{incr(11), full(40), incr(41)}
	first := judge(&head, 0, blobs)
	if head != kept {
		t.Errorf("head became %+v, want %+v", head, kept)
	}
	again := judge(&head, 0, blobs)
	if diff := cmp.Diff(first.verdicts, again.verdicts, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("second judgement differs (-first +second):\n%s", diff)
	}
}

func TestCodes(t *testing.T) {
	store, dup, refuse := verdict{action: actionStore}, verdict{action: actionDuplicate}, verdict{action: actionRefuse}
	of := func(verdicts []verdict, positions ...int) *group {
		return &group{positions: positions, judgement: judgement{verdicts: verdicts}}
	}
	tests := []struct {
		name   string
		groups []*group
		want   []int8
	}{
		{"none", nil, []int8{}},
		{"stored and duplicates", []*group{of([]verdict{store, dup}, 1, 2), of([]verdict{dup}, 0)}, []int8{0, 0, 0}},
		{"refused alone", []*group{of([]verdict{refuse}, 1), of([]verdict{store}, 0)}, []int8{0, 2}},
		{"refused beside a code 1", []*group{of([]verdict{refuse}, 1), of([]verdict{store}, 0), of([]verdict{resend(reasonGap)}, 2)}, []int8{0, 0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, codes(tt.groups, len(tt.want))); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}
