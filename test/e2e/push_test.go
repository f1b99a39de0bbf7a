package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/event/stingestproto"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// downstream is the service that the older server called, at an address of its own over several lives.
type downstream struct {
	stingestproto.UnimplementedStatsIngestSvcServer

	t    *testing.T
	addr string
	held chan struct{} // calls are not answered until it is closed; nil holds none

	mu      sync.Mutex // guards what follows
	taken   map[string]*stingestproto.StatsIngestRequest
	waiting int // calls that are held
}

func newDownstream(t *testing.T) *downstream {
	t.Helper()
	addrs := freeAddrs(t, 1)
	return &downstream{t: t, addr: addrs[0], taken: make(map[string]*stingestproto.StatsIngestRequest)}
}

// start has it answer until stop is called.
func (d *downstream) start() (stop func()) {
	d.t.Helper()
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	s := grpc.NewServer()
	stingestproto.RegisterStatsIngestSvcServer(s, d)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	stop = sync.OnceFunc(func() {
		s.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			d.t.Errorf("downstream: %v", err)
		}
	})
	d.t.Cleanup(stop)
	return stop
}

// Ingest implements the service: it takes everything.
func (d *downstream) Ingest(ctx context.Context, r *stingestproto.StatsIngestRequest) (*stingestproto.StatsIngestResponse, error) {
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken[r.GetDFpath()] = r
	return &stingestproto.StatsIngestResponse{}, nil
}

// wait waits while calls are held, or until the caller is gone.
func (d *downstream) wait(ctx context.Context) error {
	if d.held == nil {
		return nil
	}
	d.count(1)
	defer d.count(-1)
	select {
	case <-d.held:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *downstream) count(change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting += change
}

// waitHeld waits until n calls are held.
func (d *downstream) waitHeld(n int) {
	d.t.Helper()
	eventually.Succeeds(d.t, fmt.Sprintf("%d calls are held", n), func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.waiting != n {
			return fmt.Errorf("%d are", d.waiting)
		}
		return nil
	})
}

// all returns what was taken, by data file.
func (d *downstream) all() map[string]*stingestproto.StatsIngestRequest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.taken)
}

// waitTaken waits until it has taken n data files.
func (d *downstream) waitTaken(n int) {
	d.t.Helper()
	eventually.Succeeds(d.t, fmt.Sprintf("%d files are taken", n), func() error {
		if have := len(d.all()); have != n {
			return fmt.Errorf("%d are", have)
		}
		return nil
	})
}

// told is what the files in a directory make a service be told, which sees the directory as root.
func told(t *testing.T, dir, root string) map[string]*stingestproto.StatsIngestRequest {
	t.Helper()
	all := make(map[string]*stingestproto.StatsIngestRequest)
	files := os.DirFS(dir)
	for place, err := range archive.Scrapes(files) {
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := archive.Read(files, place.Dir)
		if err != nil {
			t.Fatal(err)
		}
		paths := archive.ScrapePaths(m.Target, m.Epoch)
		r := &stingestproto.StatsIngestRequest{
			Account: m.Target.Account, DFpath: filepath.Join(root, paths.Data), MFpath: filepath.Join(root, paths.Metadata),
			InstanceId: m.Target.Name, Type: "prometheus", DTs: m.Time,
		}
		all[r.DFpath] = r
	}
	return all
}

func (d *downstream) check(want map[string]*stingestproto.StatsIngestRequest) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.all(), protocmp.Transform()); diff != "" {
		d.t.Errorf("the service was told (-want +got):\n%s", diff)
	}
}

// olderConfig writes a configuration file of the older server that notifies a service of what it writes to dir.
func olderConfig(t *testing.T, dir, service string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(service)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"stats.enabled": 1, "stats.https_enabled": 0, "stats.http_port": 9905, "stats.stingest_host": host,
		"stats.stingest_port": json.Number(port), "stats.stingest_timeout": 360, "stats.keep_tmp_files": 0, "stats.reqs_max": 16,
		"stats.reqs_dir": dir, "stats.serializer_qd": 10, "zvcacher.drop_after_secs_lw": 600, "bridger.notify_stingest": 1,
		"bridger.stingests_qd": 512,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stats.conf")
	if err := os.WriteFile(path, append([]byte("# of the older server\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPush runs zstats by a configuration of the older server. The service that it notifies is away at first, and while zstats is killed.
func TestPush(t *testing.T) {
	t.Parallel() // most of it is waiting
	d := newDownstream(t)
	files := t.TempDir()
	z, err := harness.NewZstats(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	z.Env = []string{"ZEBRIUM_STATS_CONFIG_FILE_LOC=" + olderConfig(t, files, d.addr)}
	start := func() {
		t.Helper()
		if err := z.Restart(t.Context(), zstatsBinary, "--account", account+":"+token, "--collect-self=false"); err != nil {
			t.Fatalf("%v\n%s", err, z.Output())
		}
	}
	start()
	t.Cleanup(func() { z.Kill() })
	c := notifierClient{t: t, addr: z.NotifierAddr}
	a, b := newWireTarget("a_b:1.j", 1), newWireTarget("b:1.j", 2)
	ship(t, z.IngestAddr, a, 12)
	ship(t, z.IngestAddr, b, 8)
	eventually.Succeeds(t, "all is written, and the service is known to be away", func() error {
		if n := len(told(t, files, files)); n != 20 {
			return fmt.Errorf("%d scrapes are written", n)
		}
		return says(t, z, "zstats_push_up 0")
	})

	z.Kill()
	start()
	stop := d.start()
	d.waitTaken(20)
	d.check(told(t, files, files))
	if err := says(t, z, "zstats_push_up 1"); err != nil {
		t.Error(err)
	}

	stop()
	ship(t, z.IngestAddr, a, 5)
	d.start()
	d.waitTaken(25)
	d.check(told(t, files, files))
	eventually.Succeeds(t, "the position is at the end", func() error {
		p, ok := c.positions()["@push"]
		if !ok || p.Pending+p.Unacked > 0 {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})

	ship(t, z.IngestAddr, b, 5)
	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	start()
	d.waitTaken(30)
	d.check(told(t, files, files))
}

// TestPushShared has two notifiers share the calls, and kills one of them in the middle of its own.
func TestPushShared(t *testing.T) {
	t.Parallel() // most of it is waiting
	s := newSite(t)
	addrs := freeAddrs(t, 1)
	data, d := t.TempDir(), newDownstream(t)
	push := []string{"--notifier.addr", "127.0.0.1:0", "--notifier.push.address", d.addr, "--notifier.push.root", "/mnt/stats", "--notifier.push.concurrency", "4"}
	d.held = make(chan struct{})
	d.start()
	notifiers := []*harness.Service{s.run("notifier", push...), s.run("notifier", push...)}
	s.run("ingest", "--ingest.addr", addrs[0], "--account", account+":"+token)
	s.run("assembler")
	s.run("writer", "--data-dir", data)
	ship(t, addrs[0], newWireTarget("a:1.j", 1), 40)
	d.waitHeld(8)
	notifiers[0].Kill()
	d.waitHeld(4)
	close(d.held)
	d.waitTaken(40) // what the one that was killed had comes last, after half a minute
	d.check(told(t, filepath.Join(data, "files"), "/mnt/stats"))
}
