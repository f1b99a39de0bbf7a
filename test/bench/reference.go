package main

import (
	"compress/gzip"
	"io"
	"slices"
	"time"

	"github.com/zstats/zstats/test/corpus"
)

// gzipReference measures what the standard library's gzip takes for one recorded scrape on this machine now: a yardstick beside
// the results, for machines whose speed changes. It is the median of many.
func gzipReference() (time.Duration, error) {
	expositions, err := corpus.Node()
	if err != nil {
		return 0, err
	}
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		return 0, err
	}
	var times []time.Duration
	for i := range 400 {
		start := time.Now()
		z.Reset(io.Discard)
		if _, err := z.Write(expositions[i%len(expositions)].Body); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
