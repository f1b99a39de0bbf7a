package checker

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

var target = scrape.Target{Account: "acme", Name: "h:1.j"}

// goodRun has ten scrapes, all as they should be.
func goodRun() Run {
	var r Run
	for g := range int64(10) {
		digest := Digest{byte(g)}
		r.Sent = append(r.Sent, Sent{Target: target, Generation: 100 + g, Time: g, Digest: digest, Answer: Acknowledged})
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
			r.Dead = append(r.Dead, Dead{Target: target, Generation: 104})
		}, nil},
		{"dead and never sent", func(r *Run) { r.Dead = append(r.Dead, Dead{Target: target, Generation: 7}) }, []Kind{Unexplained}},
		{"refused and written", func(r *Run) { r.Sent[4].Answer = Refused }, []Kind{Unexplained}},
		{"written twice", func(r *Run) {
			w := r.Written[4]
			w.Epoch++
			r.Written = append(r.Written, w)
		}, []Kind{Duplicated}},
		{"other samples", func(r *Run) { r.Written[4].Digest = Digest{99} }, []Kind{Changed}},
		{"other samples but inferred", func(r *Run) { r.Written[4].Digest, r.Written[4].Inferred = Digest{99}, 1 }, nil},
		{"other time", func(r *Run) { r.Written[4].Time = 77 }, []Kind{Changed}},
		{"torn", func(r *Run) { r.Written[4].Err = errors.New("no json") }, []Kind{Lost, NotWritten, Torn}},
		{"out of order", func(r *Run) { r.Written[4].Epoch = 1001; r.Notified[4].Epoch = 1004 }, []Kind{OutOfOrder}},
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
