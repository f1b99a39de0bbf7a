package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/test/corpus"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

const (
	account = "acme"
	token   = "e2e-token"
	// patience bounds every wait. Nothing is asserted about time.
	patience = 2 * time.Minute
	// scrapeEvery is the interval of collectors, and most time for a scrape: what one gives up on a busy machine is not exposed again.
	scrapeEvery = "2s"
)

// TestNodeExporter ships a real node exporter by a real collector through the whole pipeline and compares every sample.
func TestNodeExporter(t *testing.T) {
	t.Parallel() // most of it is waiting
	target := recordingProxy(t, startExporter(t))
	z := startZstats(t)
	stopCollector := startCollector(t, z, scrapeEvery, "node="+target.server.URL+"/metrics")
	name := target.host() + ".node"
	const least = 12
	eventually.Succeeds(t, "scrapes are written", func() error {
		if n := len(listTarget(t, z, name)); n < least {
			return fmt.Errorf("%d of %d", n, least)
		}
		return nil
	})
	stopCollector()
	eventually.Succeeds(t, "all scrapes are written", func() error {
		if n, all := len(listTarget(t, z, name)), len(target.exposed()); n != all {
			return fmt.Errorf("%d of %d", n, all)
		}
		return nil
	})
	checkExact(t, target, "node", readTarget(t, z.Files(), name))
	checkEvents(t, z, name)
	if err := z.Stop(10 * time.Second); err != nil {
		t.Errorf("stop: %v\n%s", err, z.Output())
	}
}

// TestRecordedScrapes does the same with recorded scrapes, among them those of a target whose series come and go.
func TestRecordedScrapes(t *testing.T) {
	t.Parallel() // most of it is waiting
	z := startZstats(t)
	targets := map[string]*recorder{}
	counts := map[string]int{}
	var flags []string
	for job, read := range map[string]func() ([]corpus.Exposition, error){
		"node": corpus.Node, "prometheus": corpus.Prometheus, "churn": corpus.Churn,
	} {
		expositions, err := read()
		if err != nil {
			t.Fatal(err)
		}
		expositions = expositions[:min(len(expositions), 15)]
		targets[job], counts[job] = replayedTarget(t, expositions), len(expositions)
		flags = append(flags, job+"="+targets[job].server.URL+"/metrics")
	}
	startCollector(t, z, scrapeEvery, flags...)
	for job, target := range targets {
		name := target.host() + "." + job
		eventually.Succeeds(t, job+" is written", func() error {
			if n := len(listTarget(t, z, name)); n != counts[job] {
				return fmt.Errorf("%d of %d", n, counts[job])
			}
			return nil
		})
		checkExact(t, target, job, readTarget(t, z.Files(), name))
		checkEvents(t, z, name)
	}
}

// TestSizes ships a scrape of 500,000 series, which is far more than a message of the log may hold, and one of a single series.
func TestSizes(t *testing.T) {
	z := startZstats(t)
	targets := map[string]*recorder{
		"large": replayedTarget(t, []corpus.Exposition{{Body: series(500_000, 1)}, {Body: series(500_000, 2)}}),
		"small": replayedTarget(t, []corpus.Exposition{{Body: series(1, 1)}, {Body: series(1, 2)}}),
	}
	startCollector(t, z, "10s", "large="+targets["large"].server.URL, "small="+targets["small"].server.URL)
	for job, target := range targets {
		name := target.host() + "." + job
		eventually.Succeeds(t, job+" is written", func() error {
			if n := len(listTarget(t, z, name)); n != 2 {
				return fmt.Errorf("%d of 2", n)
			}
			return nil
		})
		checkExact(t, target, job, readTarget(t, z.Files(), name))
	}
}

// series returns an exposition of n counters.
func series(n int, value float64) []byte {
	out := []byte("# HELP requests_total Requests.\n# TYPE requests_total counter\n")
	for i := range n {
		out = fmt.Appendf(out, "requests_total{path=\"/path/%d\"} %v\n", i, value*float64(i))
	}
	return out
}

// startExporter runs a node exporter and returns its URL.
func startExporter(t *testing.T) string {
	t.Helper()
	addrs := freeAddrs(t, 1)
	p, err := harness.Start(exporterBinary, "--web.listen-address="+addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return "http://" + addrs[0]
}

func startZstats(t *testing.T, args ...string) *harness.Zstats {
	t.Helper()
	args = append([]string{"--account", account + ":" + token, "--collect-self=false"}, args...)
	z, err := harness.StartZstats(t.Context(), zstatsBinary, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		z.Kill()
		if t.Failed() {
			t.Logf("zstats said:\n%s", z.Output())
		}
	})
	return z
}

// startCollector ships the targets until the returned function is called, which waits for the last of them to be sent.
func startCollector(t *testing.T, z *harness.Zstats, interval string, targets ...string) (stop func()) {
	t.Helper()
	args := []string{"collect", "--server", "http://" + z.IngestAddr, "--token", token,
		"--interval", interval, "--timeout", interval, "--flush", "500ms"}
	for _, target := range targets {
		args = append(args, "--target", target)
	}
	p, err := harness.Start(zstatsBinary, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the collector said:\n%s", p.Output())
		}
	})
	return func() {
		if err := p.Stop(20 * time.Second); err != nil {
			t.Errorf("stop the collector: %v\n%s", err, p.Output())
		}
	}
}

// listTarget returns the data files of a target.
func listTarget(t *testing.T, z *harness.Zstats, name string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(z.Files(), targetDir(name), "*", "*.data.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkEvents subscribes from the beginning and compares the events of a target with its files.
func checkEvents(t *testing.T, z *harness.Zstats, name string) {
	t.Helper()
	conn, err := grpc.NewClient(z.NotifierAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := eventpb.NewNotifierClient(conn).Subscribe(ctx, &eventpb.SubscribeRequest{
		From: &eventpb.SubscribeRequest_FromSequence{FromSequence: 1}, Account: account, Target: name,
	})
	if err != nil {
		t.Fatal(err)
	}
	files := readTarget(t, z.Files(), name)
	for i := 0; i < len(files); {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("event %d of %d: %v", i+1, len(files), err)
		}
		e := m.GetScrapeWritten()
		if e == nil {
			continue
		}
		f := files[i]
		if e.EpochUs != f.place.Epoch || e.DataPath != f.place.Data || e.MetadataPath != f.place.Metadata ||
			int(e.Samples) != len(f.samples) || e.DefaultTimestampMs != f.meta.Time || e.InstanceId != name {
			t.Fatalf("event %d is %v, which is not about %s", i+1, e, f.place.Dir)
		}
		if info, err := os.Stat(filepath.Join(z.Files(), e.DataPath)); err != nil || uint64(info.Size()) != e.Bytes {
			t.Errorf("event %d says %d bytes, the file is %v (%v)", i+1, e.Bytes, info, err)
		}
		i++
	}
}

// readEvents returns all events up to the last one that was there when the reading began.
func readEvents(t *testing.T, notifier string) []checker.Notified {
	t.Helper()
	client, err := subscribe.New(subscribe.Options{Addr: notifier})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, trimmed, err := checker.Events(ctx, client)
	if err != nil || trimmed {
		t.Fatalf("after %d events, trimmed %v: %v", len(all), trimmed, err)
	}
	return all
}
