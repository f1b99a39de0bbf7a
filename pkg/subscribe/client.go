package subscribe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// Options configure a Client.
type Options struct {
	// Addr of the notifier, HOST:PORT.
	Addr string
	// Token shows who asks; empty if the notifier asks for none.
	Token string
	// TLS is how to connect; nil is plain text.
	TLS *tls.Config
	// MinBackoff and MaxBackoff bound the wait before the next attempt to connect; 0 is 500 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
}

// Client follows and consumes the events of one notifier. It holds no connection but while it does.
type Client struct {
	o Options
}

// ErrUnreachable: nothing answered at the notifier's address.
var ErrUnreachable = errors.New("nothing answers")

// New returns a client. It does not connect.
func New(o Options) (*Client, error) {
	if _, port, err := net.SplitHostPort(o.Addr); err != nil || port == "" {
		return nil, fmt.Errorf("notifier address %q: want HOST:PORT", o.Addr)
	}
	if o.MinBackoff == 0 {
		o.MinBackoff = 500 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 30 * time.Second
	}
	if o.MinBackoff < 0 || o.MaxBackoff < o.MinBackoff {
		return nil, fmt.Errorf("backoff from %s to %s is no range", o.MinBackoff, o.MaxBackoff)
	}
	return &Client{o}, nil
}

// connection calls do with a notifier over a new connection, which does not inherit the waits of the one before. The error
// names the notifier, and wraps ErrUnreachable if nothing answered.
func (c *Client) connection(ctx context.Context, do func(context.Context, eventpb.NotifierClient) error) error {
	d := new(dialer)
	conn, err := grpc.NewClient(c.o.Addr, c.dialOptions(d)...)
	if err != nil {
		return fmt.Errorf("notifier at %s: %w", c.o.Addr, err)
	}
	defer conn.Close()
	if c.o.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.o.Token)
	}
	err = do(ctx, eventpb.NewNotifierClient(conn))
	if err == nil {
		return nil
	}
	if failed := d.failed(); failed != nil {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.o.Addr, failed)
	}
	return &refusal{c.o.Addr, err}
}

func (c *Client) dialOptions(d *dialer) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if c.o.TLS != nil {
		creds = credentials.NewTLS(c.o.TLS)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(d.dial),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
}

// refusal is the status that a call or a stream ended with, shown without gRPC's vocabulary.
type refusal struct {
	addr string
	err  error
}

func (r *refusal) Error() string {
	return "notifier at " + r.addr + ": " + status.Convert(r.err).Message()
}

func (r *refusal) Unwrap() error { return r.err }

// curable reports whether another attempt may succeed.
func curable(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return false
	default:
		return true
	}
}
