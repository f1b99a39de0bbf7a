package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	testToken   = "secret"
	testAccount = "acme"
)

// node is a log on an embedded server.
type node struct {
	bus   *bus.Bus
	marks *bus.Bucket
}

func openNode(t testing.TB, limits event.Limits) *node {
	t.Helper()
	return openNodeOn(t, bus.ServerOptions{Dir: t.TempDir()}, limits)
}

func openNodeOn(t testing.TB, o bus.ServerOptions, limits event.Limits) *node {
	t.Helper()
	o.Logger = quiet(t)
	b := bustest.Connect(t, bustest.Serve(t, o), limits)
	marks, err := b.Bucket(t.Context(), event.ResyncBucket, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &node{b, marks}
}

// running is an ingest at work.
type running struct {
	*Ingest
	url      string
	client   *http.Client
	registry *prometheus.Registry
	stop     func() // ends Run and waits
}

// start runs an ingest on the log until the test ends or its stop is called. change may alter its options.
func start(t testing.TB, n *node, change func(*Options)) *running {
	t.Helper()
	raw, dead := startAppender(t, n, event.Raw), startAppender(t, n, event.Dead)
	o := options(t)
	o.Raw, o.Dead, o.Log, o.Marks = raw, dead, n.bus, n.marks
	if change != nil {
		change(&o)
	}
	r := run(t, o)
	eventually.Succeeds(t, "ingest is ready", r.Ready)
	return r
}

func options(t testing.TB) Options {
	tokens, err := account.Parse([]string{testAccount + ":" + testToken, "acme@east:east", "other:another"})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Addr: "127.0.0.1:0", Tokens: tokens, Partitions: bustest.Partitions, Logger: quiet(t), Registerer: prometheus.NewRegistry(),
	}
}

func run(t testing.TB, o Options) *running {
	t.Helper()
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := serveIngest(t, i)
	r.registry = o.Registerer.(*prometheus.Registry)
	return r
}

// serveIngest runs an ingest until the test ends or its stop is called.
func serveIngest(t testing.TB, i *Ingest) *running {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	r := &running{Ingest: i, url: "http://" + i.Addr().String() + Path, client: &http.Client{Transport: transport}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func startAppender(t testing.TB, n *node, stream string) *bus.Appender {
	t.Helper()
	a, err := bus.NewAppender(bus.AppenderOptions{Bus: n.bus, Stream: stream, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("appender of %s: %v", stream, err)
		}
	})
	return a
}

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is a POST as collectors send it; tests alter it.
func (r *running) request(t testing.TB, body io.Reader) *http.Request {
	t.Helper()
	// Hiding the body's type leaves its length out, as collectors do.
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url, struct{ io.Reader }{body})
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", ContentType)
	q.Header.Set(TokenHeader, testToken)
	return q
}

func (r *running) do(t testing.TB, q *http.Request) answer {
	t.Helper()
	a, err := r.try(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *running) try(q *http.Request) (answer, error) {
	resp, err := r.client.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

func (r *running) post(t testing.TB, body []byte) answer {
	t.Helper()
	return r.do(t, r.request(t, bytes.NewReader(body)))
}

// send sends instances and returns their codes.
func (r *running) send(t testing.TB, instances ...zstatsv1.Instance) []int8 {
	t.Helper()
	got, err := codesOf(r.post(t, pack(instances...)), len(instances))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// codesOf returns the codes of a good answer to n instances.
func codesOf(a answer, n int) ([]int8, error) {
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", a.status, a.body)
	}
	reply, err := zstatsv1.DecodeResponse(a.body)
	if err != nil {
		return nil, err
	}
	if reply.Err != "" {
		return nil, fmt.Errorf("reply says: %s", reply.Err)
	}
	return reply.IErrCodes, reply.Check(n)
}

// pack returns the body of a request.
func pack(instances ...zstatsv1.Instance) []byte {
	return squeeze(zstatsv1.AppendRequest(nil, zstatsv1.NewRequest(testToken, instances)))
}

// compressor is shared, because a new one takes a megabyte.
var compressor zstatsv1.Compressor

func squeeze(body []byte) []byte { return compressor.Append(nil, body) }

var errNotYet = errors.New("not yet")

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.DPanicLevel))
}

func reader(body []byte) io.Reader { return bytes.NewReader(body) }

// clock stands still unless it is moved.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func newClock() *clock { return &clock{at: time.UnixMicro(1_700_000_000_000_000)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) micro() int64 { return c.now().UnixMicro() }

func (c *clock) advance(seconds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Duration(seconds) * time.Second)
}

// quietest logs nothing, for tests that make ingest complain.
func quietest() *zap.Logger { return zap.NewNop() }
