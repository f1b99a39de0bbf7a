package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/freeaddr"
)

func TestMain(m *testing.M) {
	// JetStream leaves these behind when a server ends whose store could not write.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}

const testPartitions = 8

var errNotYet = errors.New("not yet")

// each runs a test on one embedded server and on a cluster of three.
func each(t *testing.T, test func(t *testing.T, b *Bus)) {
	t.Run("one node", func(t *testing.T) { test(t, oneNode(t)) })
	t.Run("cluster", func(t *testing.T) { test(t, cluster(t)) })
}

// oneNode returns a bus on an embedded server with the streams of the log.
func oneNode(t *testing.T) *Bus {
	t.Helper()
	s, err := StartServer(t.Context(), ServerOptions{Dir: t.TempDir(), Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return open(t, Options{Server: s})
}

// open connects and makes the streams.
func open(t *testing.T, o Options) *Bus {
	t.Helper()
	b := connect(t, o)
	ensure(t, b)
	return b
}

func connect(t *testing.T, o Options) *Bus {
	t.Helper()
	o.Logger = quiet(t)
	b, err := Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// ensure makes the streams; a cluster may need a while to elect its leaders.
func ensure(t *testing.T, b *Bus) {
	t.Helper()
	eventually.Succeeds(t, "streams are made", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := b.EnsureStreams(ctx, event.Topology(event.Limits{}), testPartitions); err != nil {
			return err
		}
		_, err := b.gap(ctx, "nobody") // a bucket that was just made may not answer yet
		return err
	})
}

// cluster returns a bus on three servers in this process, each syncing every write.
func cluster(t *testing.T) *Bus {
	t.Helper()
	addrs, err := freeaddr.Loopback(3)
	if err != nil {
		t.Fatal(err)
	}
	routes := make([]*url.URL, 3)
	for i, addr := range addrs {
		routes[i] = &url.URL{Scheme: "nats-route", Host: addr}
	}
	var nodes []*server.Server
	for i := range addrs {
		port, err := strconv.Atoi(routes[i].Port())
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node-%d", i),
			Host:       "127.0.0.1", Port: server.RANDOM_PORT,
			Cluster:   server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
			Routes:    routes,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
			NoSigs: true, NoLog: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		nodes = append(nodes, s)
	}
	for _, s := range nodes {
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("a node of the cluster is not ready")
		}
	}
	return open(t, Options{URL: nodes[0].ClientURL(), Replicas: 3})
}

func quiet(t *testing.T) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
}
