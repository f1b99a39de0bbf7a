// Package keypair keeps a TLS certificate and its key as files have them, so that a renewal needs no restart.
package keypair

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Pair is a certificate and its key in PEM files, read again when one of them changes.
type Pair struct {
	certFile, keyFile string
	logger            *zap.Logger

	mu     sync.Mutex // guards what follows
	pair   *tls.Certificate
	stamps [2]stamp // of the files when they were last read, well or not
}

// stamp tells one version of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// Load reads the files. The logger, which may be nil, learns of changes that can't be used.
func Load(certFile, keyFile string, logger *zap.Logger) (*Pair, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	c := &Pair{certFile: certFile, keyFile: keyFile, logger: logger}
	c.stamps = c.now()
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Pair) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair = &pair
	return nil
}

// now returns the stamps of the files; that of a file that can't be seen is zero.
func (c *Pair) now() (s [2]stamp) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

// Get returns the key pair for a new connection; it is a tls.Config's GetCertificate. If the files changed and can't be read, as halfway through a renewal, the
// one before stays in use.
func (c *Pair) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.now(); s != c.stamps {
		c.stamps = s
		if err := c.load(); err != nil {
			c.logger.Error("going on with the certificate that there was", zap.Error(err))
		}
	}
	return c.pair, nil
}
