package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// Tokens says what a token stands for. *account.Tokens has it.
type Tokens interface {
	Lookup(token string) (account.Grant, bool)
}

// Appender stores messages in one stream. *bus.Appender has it.
type Appender interface {
	// Append returns the sequences of the messages once all of them are durable. Messages on one subject keep the order of
	// the calls, if each call is made after the one before has returned. After an error any of the messages may be in the
	// stream, or appear in it later; bus.ErrFull tells that the stream takes nothing now.
	Append(ctx context.Context, msgs []bus.Message) (sequences []uint64, err error)
}

// Log is what ingest asks of the log beside storing. *bus.Bus has it.
type Log interface {
	// Ready reports why the log can't store messages now, or nil.
	Ready() error
	// Room reports why the log should take nothing new, although it still could, or nil.
	Room() error
	// Last returns the last message on a subject, as the stream's leader knows it, or bus.ErrNotFound.
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
}

// Marks holds the resync marks. *bus.Bucket has it.
type Marks interface {
	Watch(ctx context.Context, filter string) (*bus.Watch, error)
}

var (
	_ Tokens   = (*account.Tokens)(nil)
	_ Appender = (*bus.Appender)(nil)
	_ Log      = (*bus.Bus)(nil)
	_ Marks    = (*bus.Bucket)(nil)
)

// Options configure an Ingest. Addr or Listener, Tokens, Raw, Dead, Log, Marks and Partitions are required.
type Options struct {
	// Addr is where to listen, HOST:PORT; port 0 takes a free one. It is unused with Listener.
	Addr string
	// Listener, if set, is where requests come from. Run closes it.
	Listener net.Listener
	// TLS, if set, makes the service HTTPS. The configuration must hold a certificate or a function that returns one.
	TLS *tls.Config

	Tokens Tokens
	// Raw appends to the stream RAW, Dead to DEAD. Both must go on until Run has returned.
	Raw, Dead Appender
	Log       Log
	// Marks is the bucket event.ResyncBucket.
	Marks Marks
	// Partitions is the number of the log's partitions.
	Partitions int

	// HeadLimit is how old the last message of a target may be and still say what follows it; 0 is 6 h. It must be less than
	// the age at which RAW is trimmed, and less than the lifetime of resync marks.
	HeadLimit time.Duration
	// MinPoll is the least time between two scrapes of a target that collectors are told; 0 leaves it to them, and more than
	// 127 s counts as 127 s.
	MinPoll time.Duration
	Limits  Limits

	// Now is the clock that says when a request arrived; nil is time.Now.
	Now        func() time.Time
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Limits bound what ingest takes in. Every zero value stands for the default.
type Limits struct {
	// Connections that may be open at once, 4,096 by default. Beyond it new ones wait to be accepted.
	Connections int
	// Requests that may be worked on at once, 256 by default. Others wait, with their bodies, and after a while are told to
	// come again.
	Requests int
	// BodyBytes bounds one body as it is sent, compressed: 64 MiB by default.
	BodyBytes int64
	// DecodedBytes bounds one body after decompression: 512 MiB by default.
	DecodedBytes int64
	// BufferedBytes bounds all bodies that are being read or wait for their turn, compressed: 256 MiB by default. A request
	// that would exceed it is told to come again.
	BufferedBytes int64
	// DecodingBytes bounds the decompressed sizes of all requests that are worked on, 512 MiB by default. Others wait. While it
	// is being decoded, a request takes several times its decompressed size, see package zstatsv1.
	DecodingBytes int64
	// Heads is how many targets' heads are kept in memory, 500,000 by default, at some 300 bytes each. Others are read from
	// the log when they are needed.
	Heads int
	// Wire bounds what is in a request; the zero value is zstatsv1.DefaultLimits.
	Wire zstatsv1.Limits
}

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if err := o.required(); err != nil {
		return o, err
	}
	if o.HeadLimit == 0 {
		o.HeadLimit = 6 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.HeadLimit < 0 || o.MinPoll < 0 {
		return o, fmt.Errorf("options HeadLimit and MinPoll are %s and %s: neither may be negative", o.HeadLimit, o.MinPoll)
	}
	o.Limits.setDefaults()
	return o, o.Limits.validate()
}

func (o *Options) required() error {
	if o.Listener == nil {
		if _, _, err := net.SplitHostPort(o.Addr); err != nil {
			return fmt.Errorf("address %q: want HOST:PORT: %w", o.Addr, err)
		}
	}
	switch {
	case o.Tokens == nil:
		return errors.New("option Tokens is required")
	case o.Raw == nil || o.Dead == nil:
		return errors.New("options Raw and Dead are required")
	case o.Log == nil:
		return errors.New("option Log is required")
	case o.Marks == nil:
		return errors.New("option Marks is required")
	case o.Partitions < 1:
		return fmt.Errorf("option Partitions is %d; it must be that of the log", o.Partitions)
	}
	return nil
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		limit *int
		value int
	}{{&l.Connections, 4096}, {&l.Requests, 256}, {&l.Heads, 500_000}} {
		if *d.limit == 0 {
			*d.limit = d.value
		}
	}
	for _, d := range []struct {
		limit *int64
		value int64
	}{{&l.BodyBytes, 64 << 20}, {&l.DecodedBytes, 512 << 20}, {&l.BufferedBytes, 256 << 20}, {&l.DecodingBytes, 512 << 20}} {
		if *d.limit == 0 {
			*d.limit = d.value
		}
	}
	if l.Wire == (zstatsv1.Limits{}) {
		l.Wire = zstatsv1.DefaultLimits()
	}
}

func (l *Limits) validate() error {
	switch {
	case l.Connections < 1 || l.Requests < 1 || l.Heads < 1:
		return fmt.Errorf("limits Connections, Requests and Heads are %d, %d and %d: they must be positive",
			l.Connections, l.Requests, l.Heads)
	case l.BodyBytes < 1 || l.DecodedBytes < 1:
		return fmt.Errorf("limits BodyBytes and DecodedBytes are %d and %d: they must be positive", l.BodyBytes, l.DecodedBytes)
	case l.BufferedBytes < l.BodyBytes:
		return fmt.Errorf("limit BufferedBytes is %d: it must leave room for one body of %d", l.BufferedBytes, l.BodyBytes)
	case l.DecodingBytes < l.DecodedBytes:
		return fmt.Errorf("limit DecodingBytes is %d: it must leave room for one request of %d", l.DecodingBytes, l.DecodedBytes)
	}
	if err := l.Wire.Validate(); err != nil {
		return fmt.Errorf("limits of the wire: %w", err)
	}
	return nil
}
