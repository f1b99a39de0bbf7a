package push

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
)

// Log is what pushing needs of the log. *bus.Bus has it.
type Log interface {
	// Bounds returns the first and last sequence that the stream keeps.
	Bounds(ctx context.Context, stream string) (first, last uint64, err error)
	OpenPosition(ctx context.Context, s bus.PositionSpec) (*bus.Position, error)
}

var _ Log = (*bus.Bus)(nil)

// Bounds of the options.
const (
	MaxConcurrency = 10_000
	MaxTimeout     = time.Hour
)

// Options configure a Pusher.
type Options struct {
	// Addr is the downstream service's, HOST:PORT. It is called without TLS.
	Addr string
	// Log holds the stream EVENTS.
	Log Log
	// Root is put in front of the paths that the service is told: the writer's directory of files, as the service sees it. They
	// stay relative to it if Root is empty.
	Root string
	// Timeout is how long one call may take; up to an hour.
	Timeout time.Duration
	// Concurrency bounds the calls at one time.
	Concurrency int
	Logger      *zap.Logger
	Registerer  prometheus.Registerer
}

// Validate reports what is wrong with where to call, and how.
func Validate(addr string, timeout time.Duration, concurrency int) error {
	if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
		return fmt.Errorf("address %q: want HOST:PORT", addr)
	}
	if timeout <= 0 || timeout > MaxTimeout {
		return fmt.Errorf("timeout is %s: it must be positive and at most %s", timeout, MaxTimeout)
	}
	if concurrency < 1 || concurrency > MaxConcurrency {
		return fmt.Errorf("concurrency is %d: want 1 to %d", concurrency, MaxConcurrency)
	}
	return nil
}

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if err := Validate(o.Addr, o.Timeout, o.Concurrency); err != nil {
		return o, err
	}
	if o.Log == nil {
		return o, errors.New("no Log: it is required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o, nil
}
