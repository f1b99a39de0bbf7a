package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry with the metrics of the Go runtime and of the process.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// Check reports why a part of the process can't do its job, or nil.
type Check struct {
	Name  string
	Ready func() error
}

// AdminOptions configure the admin server.
type AdminOptions struct {
	Addr     string // host:port
	Registry *prometheus.Registry
	// Pprof serves profiles under /debug/pprof/.
	Pprof bool
}

// Admin serves /metrics, /-/healthy and /-/ready.
type Admin struct {
	o        AdminOptions
	listener net.Listener

	mu     sync.Mutex // guards what follows
	checks []Check
	state  error // why the process as a whole is not ready
}

// NewAdmin listens on the address.
func NewAdmin(o AdminOptions) (*Admin, error) {
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		// An empty address would mean all interfaces and any port.
		return nil, fmt.Errorf("admin address %q: want HOST:PORT: %w", o.Addr, err)
	}
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	return &Admin{o: o, listener: l}, nil
}

// Add adds a check to those that make the process ready.
func (a *Admin) Add(c Check) {
	a.o.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "zstats_ready", Help: "1 if the part of the process can do its job.",
		ConstLabels: prometheus.Labels{"part": c.Name},
	}, func() float64 {
		if c.Ready() != nil {
			return 0
		}
		return 1
	}))
	a.mu.Lock()
	a.checks = append(a.checks, c)
	a.mu.Unlock()
}

// SetState says why the process as a whole is not ready, whatever its parts say; nil if they decide.
func (a *Admin) SetState(err error) {
	a.mu.Lock()
	a.state = err
	a.mu.Unlock()
}

// Addr returns the address that the server listens on.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Run serves until ctx ends.
func (a *Admin) Run(ctx context.Context) error {
	s := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // nothing of worth is in flight
	defer stop()
	if err := s.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}

func (a *Admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.o.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	mux.HandleFunc("GET /-/ready", a.serveReady)
	if a.o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// serveReady answers 200 if all parts are ready, else 503 and a line for each part that is not.
func (a *Admin) serveReady(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	checks, state := slices.Clone(a.checks), a.state
	a.mu.Unlock()
	var reasons []string
	if state != nil {
		reasons = append(reasons, state.Error())
	}
	for _, c := range checks {
		if err := c.Ready(); err != nil {
			reasons = append(reasons, c.Name+": "+err.Error())
		}
	}
	if len(reasons) == 0 {
		fmt.Fprintln(w, "OK")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, reason := range reasons {
		fmt.Fprintln(w, reason)
	}
}
