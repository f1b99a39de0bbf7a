package freeaddr

import (
	"net"
	"testing"
)

func TestLoopback(t *testing.T) {
	addrs, err := Loopback(50)
	if err != nil || len(addrs) != 50 {
		t.Fatalf("%q, %v", addrs, err)
	}
	for _, addr := range addrs { // each is free, and no two are the same
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < first || port >= last {
			t.Errorf("port %d", port)
		}
	}
}
