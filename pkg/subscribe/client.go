package subscribe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

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

// Client follows the events of one notifier. It holds no connection but while it follows.
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

// Update is one thing to know; one of its fields is set.
type Update struct {
	Event *eventpb.ScrapeWritten
	// Gap: events may be missing.
	Gap *eventpb.Gap
	// Started: the subscription is in place, at first or again.
	Started *eventpb.Started
	// Progress: there is no further event below a sequence.
	Progress *eventpb.Progress
	// Lost: the subscription has ended, and there will be another attempt.
	Lost *Lost
}

// Lost says why a subscription has ended and when the next attempt is.
type Lost struct {
	Err   error
	Retry time.Duration
}

// Follow subscribes, with a nil request to everything from now on, and calls handle with each update until ctx ends, handle
// returns an error, which Follow returns, or there is an error that no repetition cures. Before the first Started every
// error ends it; the error wraps ErrUnreachable if nothing answers.
func (c *Client) Follow(ctx context.Context, r *eventpb.SubscribeRequest, handle func(Update) error) error {
	f := &following{handle: handle, request: new(eventpb.SubscribeRequest), backoff: c.o.MinBackoff}
	proto.Merge(f.request, r)
	for {
		err := c.once(ctx, f)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case f.handled != nil:
			return f.handled
		case !f.everStarted || !curable(err):
			return err
		}
		if f.started {
			f.backoff, f.started = c.o.MinBackoff, false
		}
		wait := jitter(f.backoff)
		f.backoff = min(2*f.backoff, c.o.MaxBackoff)
		if err := handle(Update{Lost: &Lost{Err: err, Retry: wait}}); err != nil {
			return err
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// once subscribes over a new connection, which does not inherit the waits of the one before, until the subscription ends.
func (c *Client) once(ctx context.Context, f *following) error {
	d := new(dialer)
	conn, err := grpc.NewClient(c.o.Addr, c.dialOptions(d)...)
	if err != nil {
		return fmt.Errorf("notifier at %s: %w", c.o.Addr, err)
	}
	defer conn.Close()
	err = c.subscribe(ctx, conn, f)
	if failed := d.failed(); failed != nil && !f.started {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.o.Addr, failed)
	}
	return &refusal{c.o.Addr, err}
}

// subscribe takes what one subscription brings.
func (c *Client) subscribe(ctx context.Context, conn *grpc.ClientConn, f *following) error {
	if c.o.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.o.Token)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := eventpb.NewNotifierClient(conn).Subscribe(ctx, f.request)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if f.handled = f.take(m); f.handled != nil {
			return f.handled
		}
	}
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

// refusal is the status that a subscription ended with, shown without gRPC's vocabulary.
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
	case codes.InvalidArgument, codes.OutOfRange, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return false
	default:
		return true
	}
}

// jitter varies a wait by up to a fifth, so that clients that were cut off together don't come back together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d))
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
