package writer

import (
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/volume"
)

// Options configure a Writer.
type Options struct {
	// Bus holds the streams of the log.
	Bus *bus.Bus
	// Dir is the directory of files. Several writers may share it.
	Dir string
	// Partitions is the number of partitions of the log.
	Partitions int
	// ID names this writer among all: letters, digits, '-' and '_'.
	ID string
	// CacheBytes bounds the memory that prepared schemas take; 0 is 256 MiB. A node exporter's takes about 130 kB.
	CacheBytes int64
	// Reserve is the free space, in bytes, below which nothing is written; 0 is 64 MiB.
	Reserve int64
	// Parallel is how many scrapes are rendered at once; 0 is GOMAXPROCS.
	Parallel int
	// MaxBatch bounds the scrapes that are made durable together; 0 is the worker's default.
	MaxBatch int
	// Linger is how long a batch waits for more scrapes; 0 is the worker's default.
	Linger     time.Duration
	Logger     *zap.Logger
	Registerer prometheus.Registerer

	hook     func(volume.Step) error // for tests
	eachFile bool                    // for tests
}

const (
	defaultCacheBytes = 256 << 20
	defaultReserve    = 64 << 20
)

func (o *Options) setDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func (o *Options) validate() error {
	switch {
	case o.Bus == nil:
		return errors.New("writer: Bus is required")
	case o.Dir == "":
		return errors.New("writer: Dir is required")
	case o.CacheBytes < 0 || o.Reserve < 0 || o.Parallel < 0:
		return errors.New("writer: CacheBytes, Reserve and Parallel must not be negative")
	}
	return nil
}
