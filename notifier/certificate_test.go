package notifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// pair is a self-signed certificate in files.
type pair struct{ cert, key string }

func newPair(t *testing.T) pair {
	t.Helper()
	dir := t.TempDir()
	return pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// renew writes a new certificate and returns a pool that trusts it alone.
func (p pair) renew(t *testing.T, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "notifier"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.write(t, p.key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), serial)
	p.write(t, p.cert, certPEM, serial)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool
}

// write gives each version a time of its own, however coarse the file system's clock is.
func (p pair) write(t *testing.T, name string, data []byte, version int64) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000+version, 0)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

func withRoots(pool *x509.CertPool) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
}

func TestTLS(t *testing.T) {
	files := newPair(t)
	first := files.renew(t, 1)
	b := bustest.Open(t)
	n := serve(t, Options{Log: b, CertFile: files.cert, KeyFile: files.key})
	s, _ := subscribe(t, dial(t, n, withRoots(first)), &eventpb.SubscribeRequest{})

	plain, err := eventpb.NewNotifierClient(dial(t, n)).Subscribe(t.Context(), &eventpb.SubscribeRequest{})
	if err == nil {
		_, err = plain.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("plain text gets %v, want Unavailable", err)
	}

	second := files.renew(t, 2)
	subscribe(t, dial(t, n, withRoots(second)), &eventpb.SubscribeRequest{})

	// A file that can't be read, as in the middle of a renewal, leaves the certificate as it is.
	files.write(t, files.cert, []byte("half"), 3)
	subscribe(t, dial(t, n, withRoots(second)), &eventpb.SubscribeRequest{})

	publish(t, b, target("acme", "a.j"))
	nextEvent(t, s)
}
