package notifier

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// certificate is a key pair in files, read again when one of them changes.
type certificate struct {
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

func loadCertificate(certFile, keyFile string, logger *zap.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	c.stamps = c.now()
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair = &pair
	return nil
}

// now returns the stamps of the files; that of a file that can't be seen is zero.
func (c *certificate) now() (s [2]stamp) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

// get returns the key pair for a new connection. If the files changed and can't be read, as halfway through a renewal, the
// one before stays in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.now(); s != c.stamps {
		c.stamps = s
		if err := c.load(); err != nil {
			c.logger.Error("the notifier goes on with the certificate that it has", zap.Error(err))
		}
	}
	return c.pair, nil
}
