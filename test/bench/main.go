// Command bench measures a whole zstats process: it starts `zstats run`, sends prepared requests of the zstats v1 wire over
// HTTP, waits until every scrape lies on disk, and prints throughput, CPU seconds per million samples, peak memory and the
// latency of the answers.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/harness"
)

type options struct {
	binary      string
	dir         string
	targets     int
	generations int
	runs        int
	profile     string
	replay      bool
	clusters    string
	balance     bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/zstats", "the binary to measure")
	flag.StringVar(&o.dir, "dir", "", "directory for the data; a temporary one by default")
	flag.IntVar(&o.targets, "targets", 200, "targets, a multiple of 50")
	flag.IntVar(&o.generations, "generations", 40, "scrapes of each target")
	flag.IntVar(&o.runs, "runs", 3, "how often to measure")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the process here")
	flag.BoolVar(&o.replay, "replay", false, "make the files again from the log of each run, with one processor")
	flag.StringVar(&o.clusters, "clusters", "", "measure services on NATS servers instead, by these numbers of servers and assemblers, such as 1x1,3x2")
	flag.BoolVar(&o.balance, "balance", false, "measure instead how long assemblers take to share the partitions, on three NATS servers")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const token = "bench-token"

func run(ctx context.Context, o options) error {
	l, err := newLoad(token, o.targets, o.generations)
	if err != nil {
		return err
	}
	reference, err := gzipReference()
	if err != nil {
		return err
	}
	fmt.Printf("%d targets × %d scrapes = %d scrapes, %d samples; text %.1f MB, wire %.1f MB; %d CPUs, %s\n",
		l.targets, o.generations, l.scrapes, l.samples, mb(l.text), mb(l.wire), runtime.NumCPU(), runtime.Version())
	// Everything is removed at the end only: ext4 spends a millisecond on each new file for a while after many were deleted.
	root, err := os.MkdirTemp(o.dir, "zstats-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	fmt.Printf("the machine now: %v of CPU for one scrape by compress/gzip, level 1\n", reference.Round(time.Microsecond))
	switch {
	case o.clusters != "":
		return measureClusters(ctx, o, root, l)
	case o.balance:
		return measureBalance(ctx, o, root)
	}
	var results []result
	for range o.runs {
		r, err := measure(ctx, o, root, l)
		if err != nil {
			return err
		}
		r.print(l)
		results = append(results, r)
	}
	slices.SortFunc(results, func(a, b result) int { return int(a.cpu - b.cpu) })
	fmt.Printf("median: %.2f CPU seconds per million samples\n", results[len(results)/2].cpuPerMillion(l))
	return nil
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// result is one measurement.
type result struct {
	wall, cpu time.Duration
	peak      int64
	answers   []time.Duration
	stored    int64 // bytes of all files
	commits   int   // durable writes to the log, each with a constant number of fsyncs
}

func (r result) cpuPerMillion(l *load) float64 { return r.cpu.Seconds() / float64(l.samples) * 1e6 }

func (r result) print(l *load) {
	slices.Sort(r.answers)
	at := func(q float64) time.Duration {
		return r.answers[int(q*float64(len(r.answers)-1))].Round(10 * time.Microsecond)
	}
	fmt.Printf("%7.0f scrapes/s  %9.0f samples/s  %5.2f CPU s/M samples (%.2f s)  peak %4.0f MB  answers p50 %v p99 %v  files %.1f MB  durable writes %d\n",
		float64(l.scrapes)/r.wall.Seconds(), float64(l.samples)/r.wall.Seconds(), r.cpuPerMillion(l), r.cpu.Seconds(),
		mb(r.peak), at(0.5), at(0.99), mb(r.stored), r.commits)
}

func measure(ctx context.Context, o options, root string, l *load) (r result, err error) {
	dir, err := os.MkdirTemp(root, "run-")
	if err != nil {
		return r, err
	}
	z, err := harness.StartZstats(ctx, o.binary, dir, "--account", "bench:"+token, "--collect-self=false", "--log.level", "warn", "--admin.pprof")
	if err != nil {
		return r, err
	}
	defer z.Kill()
	profiled := profile(ctx, z, o.profile)
	start := time.Now()
	if r.answers, err = send(ctx, "http://"+z.IngestAddr+"/api/v1/zstats", l); err != nil {
		return r, fmt.Errorf("%w\n%s", err, z.Output())
	}
	if err := waitForFiles(ctx, z, l.scrapes); err != nil {
		return r, fmt.Errorf("%w\n%s", err, z.Output())
	}
	r.wall = time.Since(start)
	if r.commits, err = sum(ctx, z, "zstats_log_batches_total{", "zstats_stage_commit_seconds_count{"); err != nil {
		return r, err
	}
	<-profiled
	if err := z.Stop(15 * time.Second); err != nil {
		return r, fmt.Errorf("%w\n%s", err, z.Output())
	}
	r.cpu, r.peak = z.Usage()
	count, stored := countFiles(z.Files())
	if count != l.scrapes {
		return r, fmt.Errorf("%d files on disk, want %d", count, l.scrapes)
	}
	r.stored = stored
	if o.replay {
		return r, measureReplays(ctx, o, z, l, r.cpu)
	}
	return r, nil
}

// process is one that tells of itself on /metrics.
type process interface {
	Metrics(ctx context.Context) (string, error)
}

// sum adds up the metrics of the process whose lines begin with one of the prefixes.
func sum(ctx context.Context, z process, prefixes ...string) (int, error) {
	text, err := z.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// send plays the load, each sender one request after the other, and returns the time of each answer.
func send(ctx context.Context, url string, l *load) ([]time.Duration, error) {
	var (
		mu      sync.Mutex
		answers []time.Duration
		failed  error
		running sync.WaitGroup
	)
	for _, requests := range l.senders {
		running.Go(func() {
			for _, body := range requests {
				start := time.Now()
				err := post(ctx, url, body)
				mu.Lock()
				answers = append(answers, time.Since(start))
				if err != nil {
					failed = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	running.Wait()
	return answers, failed
}

func post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s: %s", resp.Status, data)
	}
	answer, err := zstatsv1.DecodeResponse(data)
	if err != nil {
		return err
	}
	for i, code := range answer.IErrCodes {
		if code != 0 {
			return fmt.Errorf("blob %d was answered %d", i, code)
		}
	}
	if answer.Err != "" || len(answer.IErrCodes) != batch {
		return fmt.Errorf("answer %q with %d codes", answer.Err, len(answer.IErrCodes))
	}
	return nil
}

// waitForFiles waits until the process says that n scrapes lie on disk. Looking for the files instead would take a good part of
// the machine away from it.
func waitForFiles(ctx context.Context, z process, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		written, err := sum(ctx, z, "zstats_writer_scrapes_total")
		if err != nil {
			return err
		}
		if written == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d scrapes were written within 5 min", written, n)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// countFiles returns the number of data files and the bytes of all files.
func countFiles(dir string) (count int, bytes int64) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error { // what vanishes meanwhile is not counted
		if err != nil {
			return nil
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			bytes += info.Size()
			if strings.HasSuffix(path, ".data.gz") {
				count++
			}
		}
		return nil
	})
	return count, bytes
}

// profile fetches a CPU profile of the process; the channel is closed when it is written.
func profile(ctx context.Context, z *harness.Zstats, path string) <-chan struct{} {
	done := make(chan struct{})
	if path == "" {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		resp, err := http.Get("http://" + z.AdminAddr + "/debug/pprof/profile?seconds=8")
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			return
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}()
	return done
}
