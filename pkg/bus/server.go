package bus

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// ServerOptions configure the embedded server.
type ServerOptions struct {
	// Dir is where JetStream keeps its files.
	Dir string
	// Reserve is how many bytes of Dir's file system must be free for anything new to be taken, see Bus.Room; what was taken
	// is worked on down to a quarter of it. 0 is a twentieth of the file system, but at least 256 MiB, at most 5 GiB and at
	// most a quarter; a negative one is none.
	Reserve int64
	// Token, if set, makes the server listen on a free port of the loopback interface, for tools that show this token.
	Token string
	// ReadyTimeout bounds the start, which recovers the streams; 0 is 5 minutes.
	ReadyTimeout time.Duration
	Logger       *zap.Logger
	Registerer   prometheus.Registerer
}

// Server is a NATS server with JetStream in this process. Without a token it listens on no port. It syncs every write to disk
// before it acknowledges it.
type Server struct {
	server *server.Server
	space  *space
	token  string
}

// StartServer starts an embedded server and waits until it takes connections.
func StartServer(o ServerOptions) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("embedded NATS server: no directory for JetStream")
	}
	if o.ReadyTimeout == 0 {
		o.ReadyTimeout = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", o.Dir, err)
	}
	space, err := newSpace(o.Dir, o.Reserve)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", o.Dir, err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName:         "zstats",
		DontListen:         o.Token == "",
		Host:               "127.0.0.1",
		Port:               server.RANDOM_PORT,
		Authorization:      o.Token,
		JetStream:          true,
		StoreDir:           o.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  1 << 62, // trimming and the streams' own limits bound the store
		MaxPending:         512 << 20,
		NoSigs:             true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", o.Dir, err)
	}
	fatal := make(chan error, 1)
	s.SetLoggerV2(serverLog{log: o.Logger.Sugar(), fatal: fatal}, false, false, false)
	s.Start()
	if err := waitReady(s, fatal, o.ReadyTimeout); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("embedded NATS server in %s: %w: is the directory writable and used by no other process?", o.Dir, err)
	}
	registerServer(o.Registerer, space)
	return &Server{server: s, space: space, token: o.Token}, nil
}

func registerServer(r prometheus.Registerer, s *space) {
	if r == nil {
		return
	}
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "zstats_log_disk_free_bytes", Help: "Free space of the file system of the embedded log."}, s.bytesFree),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "zstats_log_disk_reserve_bytes", Help: "Free space of the log's file system below which ingest takes nothing."},
			func() float64 { return float64(s.reserve.bytes) }),
	)
}

// URL returns the address for tools, with the token in it; empty if the server does not listen.
func (s *Server) URL() string {
	if s.token == "" {
		return ""
	}
	u := url.URL{Scheme: "nats", User: url.User(s.token), Host: s.server.Addr().String()}
	return u.String()
}

// waitReady waits until the server takes connections and JetStream has recovered its streams.
func waitReady(s *server.Server, fatal <-chan error, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		select {
		case err := <-fatal:
			return err
		default:
		}
		if s.ReadyForConnections(50*time.Millisecond) && s.JetStreamEnabled() {
			return nil
		}
	}
	return fmt.Errorf("not ready within %s", within)
}

// Close stops the server and waits for its end. Connections must have been closed before.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// serverLog passes the server's log on, and what would end the server to whoever starts it.
type serverLog struct {
	log   *zap.SugaredLogger
	fatal chan<- error
}

func (l serverLog) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Warnf(format, v...) }
func (l serverLog) Fatalf(format string, v ...any) {
	l.log.Errorf(format, v...)
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default: // the first one counts
	}
}
func (l serverLog) Errorf(format string, v ...any) { l.log.Errorf(format, v...) }
func (l serverLog) Debugf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l serverLog) Tracef(format string, v ...any) {}
