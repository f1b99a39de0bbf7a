package collector

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/corpus"
)

// kinds returns the requests as one letter for each blob: f for full, i for incremental.
func kinds(requests [][]wireBlob) []string {
	var out []string
	for _, r := range requests {
		kind := ""
		for _, b := range r {
			if b.full {
				kind += "f"
			} else {
				kind += "i"
			}
		}
		out = append(out, kind)
	}
	return out
}

func TestResendIsOneRequestWithTheFullBlobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, counting)
		w.options.Flush = 50 * time.Second // seven blobs
		w.server.faults = []fault{answerNormally, forget}
		w.run(3 * time.Minute)
		w.checkAll()
		want := []string{"ffiiiii", "iiiiiii", "fffffff", "iiiiiii"}
		if diff := cmp.Diff(want, kinds(w.server.requests)[:4]); diff != "" {
			t.Error(diff)
		}
		first, second := w.server.requests[1], w.server.requests[2]
		for i := range first {
			if first[i].target != second[i].target || first[i].gen != second[i].gen {
				t.Errorf("blob %d is %v, and then %v", i, first[i], second[i])
			}
		}
		if wait := w.server.times[2].Sub(w.server.times[1]); wait > time.Millisecond {
			t.Errorf("the full blobs come %v later", wait)
		}
		w.checkMetrics(map[string]float64{"fulls_total{resend}": 7, "fulls_total{first}": 2, "blobs_sent_total{full}": 9})
	})
}

// A request may have both, code 1 for an incremental blob and then for a full one behind it.
func TestResendOfFullBlobsBehindAnIncremental(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(n int) string {
			if n < 5 {
				return counting(n)
			}
			return counting(n) + "more 1\n"
		})
		w.options.Flush = 50 * time.Second // four blobs
		w.server.faults = []fault{answerNormally, forget}
		w.run(3 * time.Minute)
		w.checkAll()
		if diff := cmp.Diff([]string{"fiii", "ifii", "ffff"}, kinds(w.server.requests)[:3]); diff != "" {
			t.Error(diff)
		}
		if wait := w.server.times[2].Sub(w.server.times[1]); wait > time.Millisecond {
			t.Errorf("the full blobs come %v later", wait)
		}
	})
}

func TestLostAnswerRepeatsTheSame(t *testing.T) {
	for name, lost := range map[string]fault{"incremental": storeAndCut, "full": cut} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting)
				w.options.Flush = time.Minute
				w.server.faults = []fault{answerNormally, forget, lost}
				if name == "incremental" {
					w.server.faults = []fault{answerNormally, lost}
				}
				w.run(4 * time.Minute)
				w.checkAll()
				n := len(w.server.faults) + map[string]int{"incremental": 1, "full": 2}[name]
				if diff := cmp.Diff(w.server.requests[n], w.server.requests[n+1], cmp.AllowUnexported(wireBlob{})); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestCodeFailedDropsThatBlobOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, counting)
		w.options.Flush = time.Minute
		w.options.QueueBlobs = 1000
		n := 0
		w.server.refuse = func(in *zstatsv1.Instance) bool {
			if in.Instance == "h0:80.job" {
				n++
			}
			return n == 3 && in.Instance == "h0:80.job"
		}
		w.run(3 * time.Minute)
		said := w.target(0).said
		w.check("h0:80.job", append(append([]exposition{}, said[:2]...), said[3:]...))
		w.check("h1:80.job", w.target(1).said)
		w.checkMetrics(map[string]float64{"dropped_total{failed}": 1})
	})
}

// A blob behind one that was given up goes full without the server's asking.
func TestBlobBehindALostOneIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.options.Flush = time.Second
		w.server.faults = []fault{answerNormally, answerNormally, func(x *exchange) {
			x.reply(zstatsv1.NewResponse(0, []int8{zstatsv1.CodeFailed}))
		}}
		w.run(75 * time.Second)
		if diff := cmp.Diff([]string{"f", "i", "i", "f", "i", "i"}, kinds(w.server.requests)); diff != "" {
			t.Error(diff)
		}
		w.checkMetrics(map[string]float64{"fulls_total{gap}": 1, "fulls_total{resend}": 0, "dropped_total{failed}": 1})
	})
}

// The token goes to no other server, whatever the server says.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{302, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, counting)
			w.network.serve(t, "thief", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("a stranger gets %s %s %v", r.Method, r.URL, r.Header)
			}))
			w.server.faults = []fault{answerStatus(status, "Location", "http://thief/")}
			w.run(5 * time.Minute)
			w.checkAll()
		})
	}
}

// The first collector gives up blobs with code 1 beside one with code 2.
func TestCodeSendFullBesideCodeFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, counting)
		w.options.Flush = time.Minute
		w.server.faults = []fault{answerNormally, func(x *exchange) {
			x.refuse = func(in *zstatsv1.Instance) bool { return in.Instance == "h0:80.job" }
			x.resync["h1:80.job"] = true
			answerNormally(x)
			x.refuse = nil
		}}
		w.run(4 * time.Minute)
		w.check("h1:80.job", w.target(1).said)
		lost := int(w.metric("dropped_total", "failed"))
		if lost == 0 || len(w.server.rebuilt["h0:80.job"])+lost != len(w.target(0).said) {
			t.Errorf("%d blobs are lost, and %d of %d arrived", lost, len(w.server.rebuilt["h0:80.job"]), len(w.target(0).said))
		}
		w.checkMetrics(map[string]float64{"fulls_total{gap}": 1})
	})
}

// A request that is refused for one blob in it costs that blob alone.
func TestPoisonedBlob(t *testing.T) {
	for name, refuse := range map[string]fault{
		"Err": answerText("malformed"), "413": answerStatus(http.StatusRequestEntityTooLarge), "400": answerStatus(http.StatusBadRequest),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting, counting, counting)
				w.options.Flush = time.Minute
				var seen []int64 // generations of h1
				w.server.constant = func(x *exchange) {
					for i := range x.request.IData {
						in := &x.request.IData[i]
						if in.Instance == "h1:80.job" && !slices.Contains(seen, in.Gen) {
							seen = append(seen, in.Gen)
						}
						if len(seen) > 3 && in.Gen == seen[3] {
							refuse(x)
							return
						}
					}
					answerNormally(x)
				}
				w.run(20 * time.Minute)
				w.check("h0:80.job", w.target(0).said)
				w.check("h2:80.job", w.target(2).said)
				said := w.target(1).said
				w.check("h1:80.job", append(append([]exposition{}, said[:3]...), said[4:]...))
				w.checkMetrics(map[string]float64{"dropped_total{refused}": 1})
			})
		})
	}
}

func TestEndlessRequestsForFullBlobsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.server.constant = func(x *exchange) {
			codes := make([]int8, len(x.request.IData))
			for i := range codes {
				codes[i] = zstatsv1.CodeSendFull
			}
			x.reply(zstatsv1.NewResponse(0, codes))
		}
		w.run(5 * time.Minute)
		if w.metric("dropped_total", "resend") == 0 {
			t.Error("no blob was given up")
		}
		if n := len(w.server.requests); n > 100 {
			t.Errorf("%d requests", n)
		}
	})
}

// An outage longer than the queue loses the newest scrapes, and leaves the chain whole.
func TestFullQueueRefusesTheNewest(t *testing.T) {
	for name, shrink := range map[string]func(*Options){
		"by blobs": func(o *Options) { o.QueueBlobs = 8 },
		"by bytes": func(o *Options) { o.QueueBytes = 8 * 1024 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting)
				shrink(&w.options)
				w.server.constant = answerStatus(http.StatusServiceUnavailable)
				stop := w.start()
				time.Sleep(10 * time.Minute)
				w.server.set(func() { w.server.constant = nil })
				time.Sleep(3*time.Minute + aside)
				stop()
				refused := int(w.metric("scrapes_total", "refused"))
				arrived := len(w.server.rebuilt["h0:80.job"])
				said := w.target(0).said
				if refused < 20 || arrived+refused != len(said) {
					t.Fatalf("%d refused and %d arrived of %d", refused, arrived, len(said))
				}
				first := 0
				for first < len(said) && compare("h0:80", said[first], w.server.rebuilt["h0:80.job"][first]) == "" {
					first++
				}
				w.check("h0:80.job", append(append([]exposition{}, said[:first]...), said[first+refused:]...))
				w.checkMetrics(map[string]float64{"fulls_total{first}": 1, "fulls_total{gap}": 0, "fulls_total{resend}": 0})
			})
		})
	}
}

func TestUnauthorizedIsKeptAndLoud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		w := newWorld(t, counting)
		w.options.Logger = zap.New(core)
		w.server.constant = answerStatus(http.StatusForbidden)
		stop := w.start()
		time.Sleep(10 * time.Minute)
		w.server.set(func() { w.server.constant = nil })
		time.Sleep(time.Minute + aside)
		stop()
		w.checkAll()
		if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n < 5 || n > 12 {
			t.Errorf("%d errors are logged in 10 minutes", n)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.server.faults = []fault{answerStatus(http.StatusServiceUnavailable, "Retry-After", "100")}
		w.run(5 * time.Minute)
		w.checkAll()
		if wait := w.server.times[1].Sub(w.server.times[0]); wait < 100*time.Second {
			t.Errorf("the request comes again after %v", wait)
		}
	})
}

func TestBackoffSparesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting)
		w.server.constant = answerStatus(http.StatusServiceUnavailable)
		stop := w.start()
		time.Sleep(time.Hour)
		requests := 0
		w.server.set(func() { w.server.constant, requests = nil, len(w.server.requests) })
		time.Sleep(10 * time.Minute)
		stop()
		if requests < 120 || requests > 260 {
			t.Errorf("%d requests in an hour", requests)
		}
	})
}

func TestBatches(t *testing.T) {
	var texts []func(int) string
	for range 30 {
		texts = append(texts, counting)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, texts...)
		w.options.Batch = 7
		w.options.Flush = 3 * time.Second
		w.server.faults = []fault{answerStatus(503), answerStatus(503), answerStatus(503), answerStatus(503), answerStatus(503)}
		w.run(2 * time.Minute)
		w.checkAll()
		for i, r := range w.server.requests {
			if len(r) > 7 {
				t.Errorf("request %d has %d blobs", i, len(r))
			}
		}
		// Half a second lies between two scrapes, so what comes in three seconds shares a request.
		if last := w.server.requests[len(w.server.requests)-3]; len(last) < 5 {
			t.Errorf("a request has %d blobs only", len(last))
		}
	})
}

func TestRequestsStaySmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, recorded(t, corpus.Node), recorded(t, corpus.Node), recorded(t, corpus.Node))
		w.options.BatchBytes = 200 << 10 // two full blobs
		w.options.Flush = 14 * time.Second
		w.server.faults = []fault{answerNormally, answerNormally, answerNormally, forget}
		w.run(3 * time.Minute)
		w.checkAll()
		want := []string{"ff", "fii", "iii", "iii", "ff", "f"}
		if diff := cmp.Diff(want, kinds(w.server.requests)[:len(want)]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStopDeliversWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, counting)
		w.options.Flush = time.Hour
		w.server.faults = []fault{answerStatus(503), storeAndCut}
		start := time.Now()
		w.run(2 * time.Minute)
		w.checkAll()
		if took := time.Since(start); took > 2*time.Minute+6*time.Second {
			t.Errorf("the collector stops after %v", took)
		}
		w.checkMetrics(map[string]float64{"queue_blobs": 0, "dropped_total{stopped}": 0})
	})
}

func TestStopIsBounded(t *testing.T) {
	for name, constant := range map[string]fault{"503": answerStatus(503), "hang": hang, "cut": cut} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, counting)
				w.server.constant = constant
				stop := w.start()
				time.Sleep(2*time.Minute + aside)
				before := time.Now()
				stop()
				if took := time.Since(before); took != 5*time.Second {
					t.Errorf("the collector takes %v to stop", took)
				}
				w.checkMetrics(map[string]float64{"dropped_total{stopped}": 9})
			})
		})
	}
}
