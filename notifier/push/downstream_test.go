package push

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	pb "github.com/zstats/zstats/pkg/event/stingestproto"
)

// answer is what a downstream service does with a call; attempt counts the calls for one data file, from 1.
type answer func(ctx context.Context, r *pb.StatsIngestRequest, attempt int) (*pb.StatsIngestResponse, error)

func code(c pb.StatsIngestErrorCode) (*pb.StatsIngestResponse, error) {
	return &pb.StatsIngestResponse{Err: c}, nil
}

// downstream is a service for tests.
type downstream struct {
	pb.UnimplementedStatsIngestSvcServer

	addr string
	stop func()

	mu       sync.Mutex // guards what follows
	answer   answer
	calls    []*pb.StatsIngestRequest
	attempts map[string]int
	taken    map[string]int
	now, max int
}

// serveDownstream starts a service that takes everything, on a free port if addr is empty.
func serveDownstream(t testing.TB, addr string, options ...grpc.ServerOption) *downstream {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &downstream{addr: l.Addr().String(), attempts: make(map[string]int), taken: make(map[string]int)}
	s := grpc.NewServer(options...)
	pb.RegisterStatsIngestSvcServer(s, d)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	d.stop = sync.OnceFunc(func() {
		s.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it was stopped before it served
			t.Errorf("downstream: %v", err)
		}
	})
	t.Cleanup(d.stop)
	return d
}

// Ingest implements the service.
func (d *downstream) Ingest(ctx context.Context, r *pb.StatsIngestRequest) (*pb.StatsIngestResponse, error) {
	d.mu.Lock()
	d.calls = append(d.calls, r)
	d.attempts[r.GetDFpath()]++
	attempt, answer := d.attempts[r.GetDFpath()], d.answer
	d.now++
	d.max = max(d.max, d.now)
	d.mu.Unlock()
	resp, err := code(pb.StatsIngestErrorCode_OK)
	if answer != nil {
		resp, err = answer(ctx, r, attempt)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now--
	if err == nil && resp.GetErr() == pb.StatsIngestErrorCode_OK {
		d.taken[r.GetDFpath()]++
	}
	return resp, err
}

// set changes what it answers; nil is OK.
func (d *downstream) set(a answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = a
}

// all returns the calls so far, sorted by data file.
func (d *downstream) all() []*pb.StatsIngestRequest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.SortedFunc(slices.Values(d.calls), func(a, b *pb.StatsIngestRequest) int {
		return slices.Compare([]string{a.GetDFpath()}, []string{b.GetDFpath()})
	})
}

// has returns how many data files were taken, and how many calls there were.
func (d *downstream) has() (taken, calls int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.taken), len(d.calls)
}

// attemptsOf returns how many calls there were for a data file.
func (d *downstream) attemptsOf(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts[path]
}

// running returns how many calls are under way, and how many were at once.
func (d *downstream) running() (now, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now, d.max
}
