package notifier

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
)

// Log is what the notifier needs of the log. *bus.Bus has it.
type Log interface {
	// Ready reports why the log can't be used now, or nil.
	Ready() error
	// Bounds returns the first and last sequence that the stream keeps.
	Bounds(ctx context.Context, stream string) (first, last uint64, err error)
	// Find returns the first kept message on subject with a sequence of at least from, or bus.ErrNotFound.
	Find(ctx context.Context, stream, subject string, from uint64) (bus.Place, error)
	// Read opens an ordered reader.
	Read(ctx context.Context, o bus.ReadOptions) (*bus.Reader, error)
	// OpenPosition, Positions and RemovePosition are what is to be done with named positions.
	OpenPosition(ctx context.Context, s bus.PositionSpec) (*bus.Position, error)
	Positions(ctx context.Context) ([]bus.PositionState, error)
	RemovePosition(ctx context.Context, k bus.PositionKey) error
}

var _ Log = (*bus.Bus)(nil)

// Options configure a Notifier.
type Options struct {
	// Addr is where to listen, HOST:PORT; port 0 takes a free one.
	Addr string
	// Log holds the stream EVENTS.
	Log Log
	// Tokens, if set, are required of subscribers, as the metadata "authorization: Bearer <token>". A token shows the events
	// of its account, and of its source only if it names one. Without Tokens everybody may see everything.
	Tokens *account.Tokens
	// CertFile and KeyFile turn TLS on: PEM files, read again when they change.
	CertFile, KeyFile string
	// MaxSubscribers bounds the subscriptions at one time; 0 is 256.
	MaxSubscribers int
	Logger         *zap.Logger
	Registerer     prometheus.Registerer
}

const defaultMaxSubscribers = 256

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		return o, fmt.Errorf("address %q: want HOST:PORT: %w", o.Addr, err)
	}
	if o.Log == nil {
		return o, errors.New("no Log: it is required")
	}
	if o.Tokens != nil && o.Tokens.Len() == 0 {
		return o, errors.New("no tokens in Tokens: nobody could subscribe; leave it out to let everybody")
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return o, errors.New("a certificate file and a key file belong together: give both, or neither for plain text")
	}
	if o.MaxSubscribers < 0 {
		return o, fmt.Errorf("MaxSubscribers is %d", o.MaxSubscribers)
	}
	if o.MaxSubscribers == 0 {
		o.MaxSubscribers = defaultMaxSubscribers
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o, nil
}
