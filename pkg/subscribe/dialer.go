package subscribe

import (
	"context"
	"net"
	"sync"
)

// dialer opens connections and keeps why it could not, which gRPC only has as part of a longer text.
type dialer struct {
	mu      sync.Mutex // guards what follows
	err     error      // of the last attempt
	reached bool       // any attempt succeeded
}

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.reached = err, d.reached || err == nil
	return conn, err
}

// failed returns why the last attempt failed, or nil if any did not.
func (d *dialer) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reached {
		return nil
	}
	return d.err
}
