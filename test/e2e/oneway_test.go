package e2e

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// oneWay stands between clients and a server, and once it is cut lets nothing through from clients any more.
type oneWay struct {
	listener net.Listener
	server   string
	cut      atomic.Bool
}

func newOneWay(t *testing.T, server string) *oneWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &oneWay{listener: l, server: server}
	go p.serve()
	return p
}

func (p *oneWay) addr() string { return p.listener.Addr().String() }

// serve ends when the listener is closed.
func (p *oneWay) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.join(client)
	}
}

// join carries bytes in both directions until one side goes.
func (p *oneWay) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, server) // either side may go at any time
	}()
	defer server.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if p.cut.Load() {
			continue
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
