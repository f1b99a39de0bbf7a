package bus

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/event"
)

// Message is one entry of a stream.
type Message struct {
	Subject string
	Header  event.Header
	Data    []byte
	// Sequence is the message's place in its stream, Stored when it was put there. They are set when a message is read.
	Sequence uint64
	Stored   time.Time
	// Broken says why the message's data can't be had, now or later; Data is nil then. Only a Reader that was asked to delivers
	// such messages.
	Broken error
}

// Errors of publishing and reading. They are wrapped; test with errors.Is.
var (
	// ErrNotFound: there is no such message.
	ErrNotFound = errors.New("message not found")
	// ErrBroken: the message is there, but not all of the data that travels in front of it. It is an ErrNotFound too.
	ErrBroken = fmt.Errorf("parts of the message are missing: %w", ErrNotFound)
	// ErrFull: the stream has reached its limits or the server its store's. Nothing was stored.
	ErrFull = errors.New("stream is full")
	// ErrFenced: a condition on the last message of a subject does not hold. Nothing was stored.
	ErrFenced = errors.New("fenced: another writer was there first")
	// ErrTooLarge: the messages don't fit into one atomic batch. Nothing was stored.
	ErrTooLarge = errors.New("too large for one batch")
	// ErrIncompatible: a stream is not what this process is configured for. It stays as it is, and trying again is of no use.
	ErrIncompatible = errors.New("incompatible stream")
)

// Errors of connecting.
var (
	// ErrUnauthorized: the server refuses the credentials.
	ErrUnauthorized = errors.New("NATS refuses the credentials")
)

// Options configure a connection.
type Options struct {
	// URL of an external server or a comma-separated list of a cluster's; unused with Server.
	URL string
	// Credentials is the path of a NATS credentials file, optional. User and password may stand in the URL.
	Credentials string
	// Server is an embedded server to use in process.
	Server *Server
	// Name shows in the server's list of connections.
	Name string
	// Replicas of each stream and bucket: 1, or 3 or 5 in a cluster.
	Replicas int
	// CommitTimeout bounds the wait for one durable write; 0 is 10 s.
	CommitTimeout time.Duration
	Logger        *zap.Logger
}

// Bus is a connection to one JetStream. It is safe for concurrent use.
type Bus struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	server   *Server // nil if it is external
	replicas int
	timeout  time.Duration
	log      *zap.Logger

	mu      sync.Mutex                  // guards streams and gaps
	streams map[string]jetstream.Stream // handles; asking for one costs a request
	gaps    jetstream.KeyValue          // what positions missed; nil until somebody asks
}

// Connect opens a connection. An external server that is not there yet is an error; once connected, the connection is
// re-established for ever.
func Connect(o Options) (*Bus, error) {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Server == nil {
		if err := CheckURL(o.URL); err != nil {
			return nil, err
		}
	}
	conn, err := nats.Connect(o.URL, natsOptions(o)...)
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("connect to NATS%s: %w", redacted(o.URL), ErrUnauthorized)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS%s: %w", redacted(o.URL), err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(o.CommitTimeout))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &Bus{
		conn: conn, js: js, server: o.Server, replicas: o.Replicas, timeout: o.CommitTimeout, log: o.Logger,
		streams: make(map[string]jetstream.Stream),
	}, nil
}

func natsOptions(o Options) []nats.Option {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		// What was not sent must fail now: a message kept back while disconnected could arrive after its sender gave up.
		nats.ReconnectBufSize(-1),
		// A server that was cut off says nothing, not even that it is gone. After nine seconds of that it is left for another one.
		nats.PingInterval(3 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // it is nil when the connection was closed on purpose
				o.Logger.Warn("NATS connection lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			o.Logger.Info("NATS connection restored", zap.String("server", c.ConnectedUrlRedacted()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			o.Logger.Warn("NATS reported an error", zap.String("subject", subject), zap.Error(err))
		}),
	}
	if o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(o.Credentials))
	}
	if o.Server != nil {
		opts = append(opts, nats.InProcessServer(o.Server))
		if o.Server.o.Token != "" {
			opts = append(opts, nats.Token(o.Server.o.Token))
		}
	}
	return opts
}

// Close ends the connection. Readers and workers must have ended before.
func (b *Bus) Close() { b.conn.Close() }

// Ready reports why the bus can't be used now, or nil.
func (b *Bus) Ready() error {
	if b.server != nil {
		if err := b.server.ready(); err != nil {
			return err
		}
	}
	if s := b.conn.Status(); s != nats.CONNECTED {
		return fmt.Errorf("NATS connection is %s", s)
	}
	return nil
}

// Room reports why the log should take nothing new, or nil: what is left of the embedded server's disk is kept for finishing what
// was taken. An external server has limits of its own, and answers ErrFull at them.
func (b *Bus) Room() error {
	if b.server == nil {
		return nil
	}
	return b.server.space.forInput()
}

// roomForWork reports why a stage should not even work on what was taken, or nil.
func (b *Bus) roomForWork() error {
	if b.server == nil {
		return nil
	}
	return b.server.space.forWork()
}

// Clustered reports whether streams are replicated.
func (b *Bus) Clustered() bool { return b.replicas > 1 }
