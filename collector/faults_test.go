package collector

import (
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zstats/zstats/test/corpus"
)

func TestEveryScrapeArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, counting, recorded(t, corpus.Node), recorded(t, corpus.Prometheus), random(1))
		w.run(10 * time.Minute)
		w.checkAll()
		if n := len(w.target(0).said); n != 41 {
			t.Errorf("%d scrapes in 10 minutes at an interval of 15 s", n)
		}
		w.checkMetrics(map[string]float64{"scrapes_total{taken}": 161, "blobs_stored_total": 161, "queue_blobs": 0, "queue_bytes": 0})
	})
}

// After each fault, whatever it is and however often it comes, the server ends up with every scrape once and in order.
func TestFaults(t *testing.T) {
	for name, fault := range lossless() {
		for _, repeats := range []int{1, 4} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, counting, random(2))
					stop := w.start()
					time.Sleep(time.Minute)
					w.server.set(func() {
						for range repeats {
							w.server.faults = append(w.server.faults, fault)
						}
					})
					time.Sleep(10*time.Minute + aside)
					stop()
					if len(w.server.faults) > 0 {
						t.Fatal("the fault did not happen")
					}
					w.checkAll()
				})
			})
		}
	}
}

func TestRandomFaults(t *testing.T) {
	const rounds = 6
	for range rounds {
		seed := rand.Int63()
		synctest.Test(t, func(t *testing.T) { randomFaults(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomFaults(t *testing.T, seed int64) {
	r := rand.New(rand.NewSource(seed))
	faults := lossless()
	names := sortedNames(faults)
	w := newWorld(t, random(seed), random(seed+1), random(seed+2), recorded(t, corpus.Node))
	w.options.Batch = 1 + r.Intn(8)
	w.options.Flush = time.Duration(1+r.Intn(60)) * time.Second
	stop := w.start()
	for range 10 {
		w.server.set(func() {
			for range r.Intn(4) {
				w.server.faults = append(w.server.faults, faults[names[r.Intn(len(names))]])
			}
		})
		time.Sleep(time.Duration(r.Intn(120)) * time.Second)
	}
	time.Sleep(20*time.Minute + aside)
	stop()
	w.checkAll()
}
