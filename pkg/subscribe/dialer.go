package subscribe

import (
	"context"
	"net"
	"sync"
)

// dialer opens connections and keeps why it could not, which gRPC only has as part of a longer text.
type dialer struct {
	mu  sync.Mutex // guards err
	err error      // of the last attempt
}

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

// failed returns why the last attempt failed, or nil if there was none or it did not.
func (d *dialer) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
