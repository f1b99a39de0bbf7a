package assembler

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/scrape"
)

// Options configure an Assembler. Bus, Marks, Partitions and ID are required.
type Options struct {
	Bus *bus.Bus
	// Marks is the bucket event.ResyncBucket. Marks must live longer than ingest's head limit: a mark that ends before the
	// head that it speaks of would let ingest take blobs that can't be folded.
	Marks *bus.Bucket
	// Partitions is the number of partitions of the log.
	Partitions int
	// ID names this assembler among all: letters, digits, '-' and '_'.
	ID string
	// CacheBytes bounds the states that are kept in memory between batches; 0 is 512 MiB. A state takes 8 bytes for each
	// sample, and about 700 for itself. States of targets that are not in memory are read from the log.
	CacheBytes int64
	// BatchBytes bounds the scrapes that are rebuilt and not yet committed; 0 is 64 MiB. The scrapes of one message may exceed
	// it: ingest puts at most 10,000,000 samples into one.
	BatchBytes int64
	// ReannouncePeriod is how far a scrape may be past the last publication of its schema; 0 is 24 h. It is part of what
	// keeps schemas available: the age of SCHEMAS must exceed that of SCRAPES by one and a half of it.
	ReannouncePeriod time.Duration
	// Strict tells whether an account wants a full blob as soon as any value is inferred; nil is never.
	Strict func(account string) bool
	// MaxBatch bounds the messages that are folded and committed together; 0 is the worker's default.
	MaxBatch int
	// Linger is how long a batch waits for more messages; 0 is the worker's default.
	Linger     time.Duration
	Logger     *zap.Logger
	Registerer prometheus.Registerer

	hook func(scrape.Target, *scrape.Blob) // for tests: called before a blob is folded
}

func (o *Options) setDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 512 << 20
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = 64 << 20
	}
	if o.ReannouncePeriod == 0 {
		o.ReannouncePeriod = 24 * time.Hour
	}
	if o.Strict == nil {
		o.Strict = func(string) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.hook == nil {
		o.hook = func(scrape.Target, *scrape.Blob) {}
	}
}

func (o *Options) validate() error {
	switch {
	case o.Bus == nil || o.Marks == nil:
		return errors.New("assembler: Bus and Marks are required")
	case o.Partitions < 1 || o.ID == "":
		return errors.New("assembler: Partitions and ID are required")
	case o.CacheBytes < 0 || o.BatchBytes < 0 || o.ReannouncePeriod < 0 || o.MaxBatch < 0 || o.Linger < 0:
		return errors.New("assembler: CacheBytes, BatchBytes, ReannouncePeriod, MaxBatch and Linger must not be negative")
	}
	return nil
}
