package deadletter

import (
	"context"

	"github.com/zstats/zstats/pkg/bus"
)

// Log is what the package asks of the log. *bus.Bus is one.
type Log interface {
	Partitions(ctx context.Context) (int, error)
	Scan(ctx context.Context, o bus.ReadOptions, each func(bus.Message) error) error
	Get(ctx context.Context, stream string, sequence uint64) (bus.Message, error)
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
	AppendAll(ctx context.Context, stream string, msgs []bus.Message) error
	AppendNew(ctx context.Context, stream string, msgs []bus.Message) error
	Remove(ctx context.Context, stream string, sequence uint64) error
}

var _ Log = (*bus.Bus)(nil)

// Box is the dead letters of a log.
type Box struct {
	log        Log
	partitions int
}

// NewBox returns the dead letters of a log.
func NewBox(ctx context.Context, log Log) (*Box, error) {
	n, err := log.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	return &Box{log: log, partitions: n}, nil
}
