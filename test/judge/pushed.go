package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event/stingestproto"
)

// Pushed is a downstream service that notifiers push events to. It is away now and then, and some of its calls fail or are never
// answered. It notes what it has taken.
type Pushed struct {
	stingestproto.UnimplementedStatsIngestSvcServer

	addr, root string

	mu     sync.Mutex     // guards what follows
	taken  map[string]int // how often, by data file
	failed int            // calls
	away   int            // how often it was
}

// NewPushed returns a service at an address that nothing listens on, which is told of files in root.
func NewPushed(addr, root string) *Pushed {
	return &Pushed{addr: addr, root: root, taken: make(map[string]int)}
}

// Run serves until ctx ends.
func (p *Pushed) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		up, cancel := context.WithTimeout(ctx, between(5*time.Second, 15*time.Second))
		err := p.serve(up)
		cancel()
		if err != nil {
			return err
		}
		p.count(&p.away)
		select {
		case <-ctx.Done():
		case <-time.After(between(100*time.Millisecond, time.Second)):
		}
	}
	return nil
}

// serve answers until ctx ends, and drops the calls that are under way then.
func (p *Pushed) serve(ctx context.Context) error {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	stingestproto.RegisterStatsIngestSvcServer(s, p)
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	if err := s.Serve(l); !errors.Is(err, grpc.ErrServerStopped) { // it ended before it served
		return err
	}
	return nil
}

// Ingest implements the service.
func (p *Pushed) Ingest(ctx context.Context, r *stingestproto.StatsIngestRequest) (*stingestproto.StatsIngestResponse, error) {
	chance := rand.IntN(100)
	switch {
	case chance < 3:
		p.count(&p.failed)
		return nil, status.Error(codes.Internal, "it fails by chance")
	case chance < 4:
		p.count(&p.failed)
		return &stingestproto.StatsIngestResponse{Err: stingestproto.StatsIngestErrorCode_STNOT_READY}, nil
	case chance < 5:
		p.count(&p.failed)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p.take(r.GetDFpath())
	if chance < 8 {
		return nil, status.Error(codes.Unknown, "the answer is lost by chance")
	}
	return new(stingestproto.StatsIngestResponse), nil
}

func (p *Pushed) take(file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[file]++
}

func (p *Pushed) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

// Missing returns why the service was not told of all of some events, or nil.
func (p *Pushed) Missing(all []checker.Notified) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := 0
	var first checker.Notified
	for _, e := range all {
		if p.taken[p.dataOf(e)] > 0 {
			continue
		}
		if missing++; missing == 1 {
			first = e
		}
	}
	if missing == 0 {
		return nil
	}
	return fmt.Errorf("it lacks %d of %d events, the first is %+v", missing, len(all), first)
}

// Untrue returns which file the service was told of that belongs to no event, or nil.
func (p *Pushed) Untrue(all []checker.Notified) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := make(map[string]bool, len(all))
	for _, e := range all {
		there[p.dataOf(e)] = true
	}
	for file := range p.taken {
		if !there[file] {
			return fmt.Errorf("it was told of %s, and there is no such event", file)
		}
	}
	return nil
}

func (p *Pushed) dataOf(n checker.Notified) string {
	return path.Join(p.root, archive.ScrapePaths(n.Target, n.Epoch).Data)
}

// Counts returns of how many events the service was told, how many calls were again for one that it had taken, how many it failed,
// and how often it was away.
func (p *Pushed) Counts() (events, again, failed, away int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.taken {
		again += n - 1
	}
	return len(p.taken), again, p.failed, p.away
}

// between returns a time by chance.
func between(least, most time.Duration) time.Duration { return least + rand.N(most-least) }
