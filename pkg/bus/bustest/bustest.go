// Package bustest gives tests a log on an embedded server.
package bustest

import (
	"testing"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// Partitions is how many the log has.
const Partitions = 8

// Open returns a connection to a new log, which ends with the test.
func Open(t testing.TB) *bus.Bus {
	t.Helper()
	return OpenLimited(t, event.Limits{})
}

// OpenLimited is Open with limits of the streams.
func OpenLimited(t testing.TB, limits event.Limits) *bus.Bus {
	t.Helper()
	return Connect(t, Serve(t, bus.ServerOptions{}), limits)
}

// Serve starts a server, which ends with the test, in a directory of its own if o names none.
func Serve(t testing.TB, o bus.ServerOptions) *bus.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := bus.StartServer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Connect returns a connection to a server, which ends with the test, and makes the log's streams if they are missing.
func Connect(t testing.TB, s *bus.Server, limits event.Limits) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Options{Server: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.EnsureStreams(t.Context(), event.Topology(limits), Partitions); err != nil {
		t.Fatal(err)
	}
	return b
}
