package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
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
	// Addr is the downstream service's, HOST:PORT.
	Addr string
	// TLS says how the service is verified; nil: it is called without TLS.
	TLS *tls.Config
	// Log holds the stream EVENTS.
	Log Log
	// Root is put in front of the paths that the service is told: the writer's directory of files, as the service sees it. They
	// stay relative to it if Root is empty.
	Root string
	// Timeout is how long one call may take; up to an hour.
	Timeout time.Duration
	// Concurrency bounds the calls at one time.
	Concurrency int
	// Attempts is after how many failed calls an event is left aside, while the service takes others; 0: it never is.
	Attempts   int
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Validate reports what is wrong with where to call, and how.
func (o Options) Validate() error {
	if host, port, err := net.SplitHostPort(o.Addr); err != nil || host == "" || !validPort(port) {
		return fmt.Errorf("address %q: want HOST:PORT", o.Addr)
	}
	if o.Timeout <= 0 || o.Timeout > MaxTimeout {
		return fmt.Errorf("timeout is %s: it must be positive and at most %s", o.Timeout, MaxTimeout)
	}
	if o.Concurrency < 1 || o.Concurrency > MaxConcurrency {
		return fmt.Errorf("concurrency is %d: want 1 to %d", o.Concurrency, MaxConcurrency)
	}
	if o.Attempts < 0 {
		return fmt.Errorf("attempts are %d: want a number of calls, or 0 for no end", o.Attempts)
	}
	return nil
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if err := o.Validate(); err != nil {
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
