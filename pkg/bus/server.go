package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

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
	// CloseTimeout bounds the wait for the server's end; 0 is 10 seconds.
	CloseTimeout time.Duration
	Logger       *zap.Logger
	Registerer   prometheus.Registerer
}

func (o *ServerOptions) setDefaults() {
	if o.ReadyTimeout == 0 {
		o.ReadyTimeout = 5 * time.Minute
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// Server is a NATS server with JetStream in this process. Without a token it listens on no port. It syncs every write to disk
// before it acknowledges it.
//
// JetStream does not get over an error of its disk: a stream that could not write once refuses everything until the server is
// restarted. So Server watches it, and after such an error ends it and starts another one in its place as soon as there is
// room. Connections follow by themselves.
type Server struct {
	o        ServerOptions
	space    *space
	restarts prometheus.Counter
	stop     context.CancelFunc
	watching sync.WaitGroup
	port     int // where every life of the server listens, 0 if none does

	mu   sync.Mutex // guards what follows
	life *life      // nil while no server runs
	down error      // why
}

// StartServer starts an embedded server and waits until it takes connections, or ctx ends. The server then runs until Close.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("embedded NATS server: no directory for JetStream")
	}
	o.setDefaults()
	s := &Server{o: o, restarts: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "zstats_log_server_restarts_total", Help: "Times that the embedded NATS server was started again after an error of its disk."})}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", o.Dir, err)
	}
	s.register(o.Registerer)
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.watching.Go(func() { s.watch(watch) })
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.o.Dir, 0o750); err != nil {
		return err
	}
	if s.space, err = newSpace(s.o.Dir, s.o.Reserve); err != nil {
		return err
	}
	if s.life, err = s.begin(ctx); err != nil {
		return fmt.Errorf("%w: is the directory writable and used by no other process?", err)
	}
	if addr, ok := s.life.server.Addr().(*net.TCPAddr); ok {
		s.port = addr.Port
	}
	return nil
}

func (s *Server) register(r prometheus.Registerer) {
	if r == nil {
		return
	}
	r.MustRegister(s.restarts,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "zstats_log_disk_free_bytes", Help: "Free space of the file system of the embedded log."}, s.space.bytesFree),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "zstats_log_disk_reserve_bytes", Help: "Free space of the log's file system below which ingest takes nothing."},
			func() float64 { return float64(s.space.reserve.bytes) }),
	)
}

// URL returns the address for tools, with the token in it; empty if the server does not listen. A restart does not change it.
func (s *Server) URL() string {
	if s.o.Token == "" {
		return ""
	}
	u := url.URL{Scheme: "nats", User: url.User(s.o.Token), Host: net.JoinHostPort(loopback, strconv.Itoa(s.port))}
	return u.String()
}

// loopback is the address that the server listens on, if it does.
const loopback = "127.0.0.1"

// Close stops the server and waits for its end, for as long as CloseTimeout allows: a disk that answers nothing can hold it for
// ever. What was acknowledged is on disk in any case. Connections must have been closed before.
func (s *Server) Close() {
	s.stop()
	s.watching.Wait()
	s.mu.Lock()
	l := s.life
	s.life, s.down = nil, errors.New("closed")
	s.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case <-l.end(errors.New("closed")):
	case <-time.After(s.o.CloseTimeout):
		s.o.Logger.Warn("the embedded NATS server has not ended in time and is left behind", zap.Duration("timeout", s.o.CloseTimeout))
	}
}

// current returns what runs now, or an error that says why nothing does.
func (s *Server) current() (*life, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return nil, fmt.Errorf("embedded NATS server is down: %w", s.down)
	}
	return s.life, nil
}

// InProcessConn connects to the server that runs now. nats.go calls it for each attempt to connect.
func (s *Server) InProcessConn() (net.Conn, error) {
	l, err := s.current()
	if err != nil {
		return nil, err
	}
	return l.server.InProcessConn()
}
