// Package freeaddr finds addresses for servers of tests that have to know theirs before they listen, or that listen again after a while.
package freeaddr

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports from first to last are below those that systems give by themselves, to connections and to listeners that ask for any. So nobody
// is given one between now and the server's start, or while it is restarted; that happened with ports that the system had chosen.
const first, last = 10_000, 32_000

// Loopback returns n addresses that nothing listens on.
func Loopback(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		l, err := listen()
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end, so that all differ
		addrs[i] = l.Addr().String()
	}
	return addrs, nil
}

// One returns such an address for a test.
func One(t testing.TB) string {
	t.Helper()
	addrs, err := Loopback(1)
	if err != nil {
		t.Fatal(err)
	}
	return addrs[0]
}

// listen listens on a port by chance.
func listen() (l net.Listener, err error) {
	for range 100 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("a hundred ports by chance, none of them free: %w", err)
}
