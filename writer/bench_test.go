package writer

import (
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkProcess writes batches of scrapes of node exporters with 532 samples each to the disk that TMPDIR names.
func BenchmarkProcess(b *testing.B) {
	for _, scrapes := range []int{50, 200} {
		b.Run(strconv.Itoa(scrapes), func(b *testing.B) {
			log := newLog(b, b.TempDir())
			inputs := node(b, scrapes, 1)
			announce(b, log, inputs)
			w := newWriter(b, Options{Bus: log})
			if _, err := w.Process(b.Context(), deliveries(b, inputs)); err != nil { // knows the schemas from now on
				b.Fatal(err)
			}
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				for i := range inputs { // another second of the same targets
					inputs[i].state.Epoch += 1e6
				}
				batch := deliveries(b, inputs)
				before := cpuTime(b)
				b.StartTimer()
				if _, err := w.Process(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				used += cpuTime(b) - before
			}
			n := float64(b.N * scrapes)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/n, "µs/scrape")
			b.ReportMetric(float64(used.Microseconds())/n, "cpu-µs/scrape")
		})
	}
}

// cpuTime returns how long the process has used the processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
