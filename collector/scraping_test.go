package collector

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a target says when it fails sends nothing, and the chain goes on as if it had not been asked.
func TestFailedScrapeSendsNothing(t *testing.T) {
	say := func(contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, text)
		}
	}
	for _, tc := range []struct {
		name    string
		outcome string
		broken  http.HandlerFunc
	}{
		{"status", "status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"not modified", "status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		{"timeout", "unreachable", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"cut", "unreachable", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "a 1\n")
			panic(http.ErrAbortHandler)
		}},
		{"empty", "empty", say("text/plain", "")},
		{"comments only", "empty", say("text/plain", "# HELP a b\n")},
		{"error at the end", "invalid", say("text/plain", counting(7)+"what is this\n")},
		{"error at the start", "invalid", say("text/plain", "<html>\n"+counting(7))},
		{"label twice", "invalid", say("text/plain", `a{b="c",b="d"} 1`+"\n")},
		{"OpenMetrics without an end", "invalid", say("application/openmetrics-text; version=1.0.0", "a 1\n")},
		{"protobuf", "invalid", say("application/vnd.google.protobuf", "\x01\x02")},
		{"too many bytes", "too_large", say("text/plain", "#"+strings.Repeat("x", 5000)+"\na 1\n")},
		{"too many samples", "too_large", say("text/plain", strings.Repeat("a 1\n", 11))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting, counting)
				w.options.BodyBytes = 5000
				w.options.Samples = 10
				stop := w.start()
				time.Sleep(time.Minute + 5*time.Second)
				w.target(0).set(tc.broken)
				time.Sleep(time.Minute)
				w.target(0).set(nil)
				time.Sleep(time.Minute)
				stop()
				w.checkAll()
				w.checkMetrics(map[string]float64{"scrapes_total{" + tc.outcome + "}": 4, "fulls_total{first}": 2, "blobs_sent_total{full}": 2})
			})
		})
	}
}

func TestUnreachableTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.Targets = append(w.options.Targets, Target{Job: "gone", URL: "http://nowhere:1/metrics"})
		w.run(time.Minute)
		w.checkAll()
		w.checkMetrics(map[string]float64{"scrapes_total{unreachable}": 4})
	})
}

// A scrape that takes longer than the interval is not followed by a hurry.
func TestSlowTargetKeepsTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.Interval = 10 * time.Second
		w.options.Timeout = 10 * time.Second
		start := time.Now()
		w.target(0).set(func(w http.ResponseWriter, r *http.Request) {
			if sleep(r.Context(), 9*time.Second) {
				_, _ = io.WriteString(w, "a 1\n")
			}
		})
		w.run(time.Minute)
		for i, at := range w.target(0).scraped {
			if at.Sub(start) != time.Duration(i)*10*time.Second {
				t.Errorf("scrape %d happens after %v", i, at.Sub(start))
			}
		}
		w.checkMetrics(map[string]float64{"scrapes_total{taken}": 6})
	})
}

func TestFollowing(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, tc := range []struct{ now, want int64 }{
		{1000, 1010}, {1009, 1010}, {1010, 1020}, {1011, 1020}, {1035, 1040}, {999, 1010},
	} {
		if got := following(at, time.Unix(tc.now, 0), 10*time.Second).Unix(); got != tc.want {
			t.Errorf("after %d comes %d, not %d", tc.now, got, tc.want)
		}
	}
}

// Scrapes are spread over the interval.
func TestOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, counting, counting)
		start := time.Now()
		w.run(time.Minute)
		for i := range 3 {
			if offset := w.target(i).scraped[0].Sub(start); offset != time.Duration(i)*5*time.Second {
				t.Errorf("target %d is scraped first after %v", i, offset)
			}
		}
	})
}

// The server may ask for fewer scrapes; its last word counts, also if a request fails between.
func TestMinPollSecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.Flush = time.Second
		w.server.minPoll = time.Minute
		stop := w.start()
		time.Sleep(10*time.Minute + aside)
		w.server.set(func() { w.server.faults = []fault{cut, answerStatus(503)} })
		time.Sleep(10 * time.Minute)
		if n, _ := w.target(0).counts(); n != 21 {
			t.Errorf("%d scrapes in 20 minutes", n)
		}
		w.server.set(func() { w.server.minPoll = 0 })
		time.Sleep(11 * time.Minute)
		stop()
		if n, _ := w.target(0).counts(); n != 21+1+40 {
			t.Errorf("%d scrapes after 10 minutes more", n)
		}
		w.checkAll()
	})
}

func TestMinPollSecsBelowTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.server.minPoll = time.Second
		w.run(time.Minute)
		if n := len(w.target(0).scraped); n != 5 {
			t.Errorf("%d scrapes in a minute", n)
		}
	})
}

// Targets that compress, and those that speak OpenMetrics.
func TestForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		var header http.Header
		text := "# TYPE a counter\na_total 5 # {trace_id=\"x\"} 1\n# TYPE b info\nb_info{c=\"d\"} 1\n# EOF\n"
		w.network.serve(t, "om", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header = r.Header
			w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			_, _ = io.WriteString(zip, text)
			_ = zip.Close()
		}))
		w.options.Targets = append(w.options.Targets, Target{Job: "om", URL: "http://om/"})
		w.run(time.Minute)
		if got := header.Get("Accept"); !strings.HasPrefix(got, "text/plain;version=0.0.4") {
			t.Errorf("the collector accepts %q", got)
		}
		if got := header.Get("Accept-Encoding"); got != "gzip" {
			t.Errorf("the collector accepts the encoding %q", got)
		}
		got := w.server.rebuilt["om:80.om"]
		if len(got) != 4 {
			t.Fatalf("%d scrapes", len(got))
		}
		series := got[0].schema.Series
		if len(series) != 2 || series[0].Name() != "a_total" || series[0].Type != "counter" || series[1].Type != "info" {
			t.Errorf("series are %+v", series)
		}
	})
}
