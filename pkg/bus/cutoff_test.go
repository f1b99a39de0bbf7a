package bus

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
)

// path is the way to a server. Connections over it can be cut such that neither end hears of it.
type path struct {
	listener net.Listener
	server   string

	mu    sync.Mutex // guards what follows
	cut   chan struct{}
	conns []net.Conn
	wait  sync.WaitGroup
}

func newPath(t *testing.T, server string) *path {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{listener: l, server: server, cut: make(chan struct{})}
	p.wait.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *path) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.server)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		cut := p.cut
		p.mu.Unlock()
		p.wait.Go(func() { carry(out, in, cut) })
		p.wait.Go(func() { carry(in, out, cut) })
	}
}

// carry passes on what it reads, and swallows it once the path is cut.
func carry(to, from net.Conn, cut <-chan struct{}) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-cut:
		default:
			if _, writeErr := to.Write(buffer[:n]); writeErr != nil || err != nil {
				to.Close()
			}
		}
		if err != nil {
			return
		}
	}
}

// cutOff makes all connections that there are silent. New ones work.
func (p *path) cutOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.cut)
	p.cut = make(chan struct{})
}

func (p *path) close() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wait.Wait()
}

// A server that was cut off is left for another one, here for itself over a new connection.
func TestServerCutOff(t *testing.T) {
	s, err := StartServer(t.Context(), ServerOptions{Dir: t.TempDir(), Token: "secret", Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	address, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := newPath(t, address.Host)
	address.Host = p.listener.Addr().String()
	b := open(t, Options{URL: address.String()})
	p.cutOff()
	eventually.Succeeds(t, "the log answers again", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := b.StreamStatus(ctx, event.Raw)
		return err
	})
}
