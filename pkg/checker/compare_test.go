package checker

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
)

var target = scrape.Target{Account: "acme", Name: "h:1.j"}

// goodRun has ten scrapes, all as they should be.
func goodRun() Run {
	var r Run
	for g := range int64(10) {
		digest := Digest{byte(g)}
		r.Sent = append(r.Sent, Sent{Target: target, Generation: 100 + g, Time: g, Digest: digest, Answer: Acknowledged, First: int(2*g + 1), Acked: int(2*g + 2)})
		r.Written = append(r.Written, Written{Target: target, Generation: 100 + g, Time: g, Epoch: 1000 + g, Digest: digest, Path: "p"})
		r.Notified = append(r.Notified, Notified{Target: target, Generation: 100 + g, Epoch: 1000 + g, Sequence: uint64(g + 1)})
	}
	return r
}

func TestCompareGoodRun(t *testing.T) {
	report := Compare(goodRun())
	if !report.OK() || report.Acknowledged != 10 {
		t.Errorf("good run: %s", report)
	}
}

// TestComparePlantedFaults tests the tester: each fault must be found, and named for what it is.
func TestComparePlantedFaults(t *testing.T) {
	remove := func(r *Run, i int) {
		r.Written = append(r.Written[:i], r.Written[i+1:]...)
		r.Notified = append(r.Notified[:i], r.Notified[i+1:]...)
	}
	// cut takes out generations from the given place on, so that no scrape follows the one before without a gap.
	cut := func(r *Run, from int) {
		for i := from; i < len(r.Sent); i++ {
			r.Sent[i].Generation += 1000
			r.Written[i].Generation += 1000
			r.Notified[i].Generation += 1000
		}
	}
	tests := []struct {
		name  string
		plant func(*Run)
		want  []Kind
	}{
		{"lost", func(r *Run) { remove(r, 4) }, []Kind{Lost}},
		{"not acknowledged and not written", func(r *Run) { remove(r, 4); r.Sent[4].Answer = Unknown }, nil},
		{"not acknowledged and written", func(r *Run) { r.Sent[4].Answer = Unknown }, nil},
		{"in the dead letters", func(r *Run) {
			remove(r, 4)
			r.Dead = append(r.Dead, Dead{Target: target, Generation: 104, Reason: "gap"})
		}, nil},
		{"dead and never sent", func(r *Run) { r.Dead = append(r.Dead, Dead{Target: target, Generation: 7, Reason: "gap"}) }, []Kind{Unexplained}},
		{"refused and written", func(r *Run) { r.Sent[4].Answer = Refused }, []Kind{Unexplained}},
		{"written twice", func(r *Run) {
			w := r.Written[4]
			w.Epoch++
			r.Written = append(r.Written, w)
		}, []Kind{Duplicated}},
		{"other samples", func(r *Run) { r.Written[4].Digest = Digest{99} }, []Kind{Changed}},
		{"an inferred value differs", func(r *Run) {
			r.Sent[4].Values, r.Written[4].Values = []float64{1, 2, 3}, []float64{1, 2.5, 3}
			r.Written[4].Digest, r.Written[4].Inferred = Digest{99}, 1
		}, nil},
		{"more values differ than are inferred", func(r *Run) {
			r.Sent[4].Values, r.Written[4].Values = []float64{1, 2, 3}, []float64{1, 2.5, 3.5}
			r.Written[4].Digest, r.Written[4].Inferred = Digest{99}, 1
		}, []Kind{Changed}},
		{"a value is missing beside an inferred one", func(r *Run) {
			r.Sent[4].Values, r.Written[4].Values = []float64{1, 2, 3}, []float64{1, 2}
			r.Written[4].Digest, r.Written[4].Inferred = Digest{99}, 1
		}, []Kind{Changed}},
		{"a label differs beside an inferred value", func(r *Run) {
			r.Written[4].Digest, r.Written[4].Shape, r.Written[4].Inferred = Digest{99}, Digest{98}, 1
		}, []Kind{Changed}},
		{"an inferred value differs from one that was made sure of", func(r *Run) {
			r.Sent[4].Exact = true
			r.Written[4].Digest, r.Written[4].Inferred = Digest{99}, 1
		}, []Kind{Changed}},
		{"other time", func(r *Run) { r.Written[4].Time = 77 }, []Kind{Changed}},
		{"torn", func(r *Run) { r.Written[4].Err = errors.New("no json") }, []Kind{Lost, NotWritten, Torn}},
		{"out of order", func(r *Run) { r.Written[4].Epoch = 1001; r.Notified[4].Epoch = 1004 }, []Kind{OutOfOrder}},
		{"lies where another belongs", func(r *Run) { r.Written[4].Err = fmt.Errorf("%w in x", archive.ErrMisplaced) },
			[]Kind{Lost, Misplaced, NotWritten}},
		{"no scrape at all", func(r *Run) { r.Written = append(r.Written, Written{Path: "x", Err: archive.ErrForeign}) },
			[]Kind{Unexplained}},
		{"acknowledged before it, across a gap", func(r *Run) {
			cut(r, 5)
			r.Notified = nil
			r.Written[5].Epoch = 1003
		}, []Kind{OutOfOrder}},
		{"on their way at the same time, across a gap", func(r *Run) {
			cut(r, 5)
			r.Notified = nil
			r.Sent[4].Acked, r.Sent[5].First = r.Sent[5].First, r.Sent[4].Acked
			r.Written[4].Epoch, r.Written[5].Epoch = r.Written[5].Epoch, r.Written[4].Epoch
		}, nil},
		{"never acknowledged before it, across a gap", func(r *Run) {
			cut(r, 5)
			r.Notified = nil
			r.Sent[4].Acked, r.Sent[4].Answer = 0, Unknown
			r.Written[4].Epoch, r.Written[5].Epoch = r.Written[5].Epoch, r.Written[4].Epoch
		}, nil},
		{"in another ledger, across a gap", func(r *Run) {
			cut(r, 5)
			r.Notified = nil
			r.Sent[5].Ledger = 1
			r.Written[5].Epoch = 1003
		}, nil},
		{"a late event", func(r *Run) {
			late := r.Notified[4]
			late.Late = true
			r.Notified = append(append(r.Notified[:4:4], r.Notified[5:]...), late)
		}, nil},
		{"dead for no reason", func(r *Run) {
			remove(r, 4)
			r.Dead = append(r.Dead, Dead{Target: target, Generation: 104})
		}, []Kind{Unexplained}},
		{"an opaque letter", func(r *Run) {
			r.Dead = append(r.Dead, Dead{Target: target, Reason: "undecodable", Opaque: true, RawSequence: 7})
		},
			[]Kind{Unexplained}},
		{"an opaque letter that was planted", func(r *Run) {
			r.Dead = append(r.Dead, Dead{Target: target, Reason: "undecodable", Opaque: true, RawSequence: 7})
			r.Planted = map[uint64]bool{7: true}
		}, nil},
		{"of a target that others may send", func(r *Run) {
			r.Foreign = true
			other := r.Written[4]
			other.Target.Name, other.Generation = "h:2.j", 7
			r.Written = append(r.Written, other)
			r.Notified = append(r.Notified, Notified{Target: other.Target, Generation: 7, Epoch: other.Epoch, Sequence: 11})
		}, nil},
		{"nothing sent is known", func(r *Run) { r.Sent = nil }, nil},
		{"removed for their age", func(r *Run) { r.Written, r.Retention = r.Written[3:], true }, nil},
		{"removed for their age, without events", func(r *Run) { r.Written, r.Notified, r.Retention = r.Written[3:], nil, true }, nil},
		{"missing in the middle, beside removed ones", func(r *Run) {
			r.Written, r.Retention = append(r.Written[3:5:5], r.Written[6:]...), true
		}, []Kind{Lost, NotWritten}},
		{"missing, and the newest at that", func(r *Run) { r.Written, r.Retention = r.Written[3:9], true }, []Kind{Lost, NotWritten}},
		{"none left of a target", func(r *Run) {
			r.Sent, r.Notified, r.Written, r.Retention = r.Sent[:1], r.Notified[:1], []Written{}, true
		}, []Kind{Lost, NotWritten}},
		{"written before the ledger began", func(r *Run) { r.Sent, r.Since = r.Sent[5:], 5 }, nil},
		{"events are no longer kept", func(r *Run) { r.Notified, r.EventsTrimmed = r.Notified[5:], true }, nil},
		{"written by the older server", func(r *Run) {
			r.Written = append(r.Written, Written{Legacy: true}, Written{Legacy: true})
		}, nil},
		{"never sent", func(r *Run) { r.Sent = append(r.Sent[:4], r.Sent[5:]...) }, []Kind{Unexplained}},
		{"notified twice", func(r *Run) {
			e := r.Notified[9]
			e.Epoch++
			r.Notified = append(r.Notified, e)
		}, []Kind{Duplicated}},
		{"not notified", func(r *Run) { r.Notified = append(r.Notified[:4], r.Notified[5:]...) }, []Kind{NotNotified}},
		{"events out of order", func(r *Run) {
			r.Notified[4], r.Notified[5] = r.Notified[5], r.Notified[4]
		}, []Kind{OutOfOrder}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := goodRun()
			tt.plant(&r)
			report := Compare(r)
			var got []Kind
			for _, f := range report.Findings {
				got = append(got, f.Kind)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, report)
			}
			for _, k := range tt.want {
				if !strings.Contains(report.String(), string(k)) {
					t.Errorf("report does not show %q:\n%s", k, report)
				}
			}
		})
	}
}
