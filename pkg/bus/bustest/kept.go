package bustest

import (
	"bytes"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/zstats/zstats/pkg/bus"
)

// Kept listens to a server. The result returns how often it was told so far that an event is being worked on, by the event's
// stream sequence.
func Kept(t testing.TB, s *bus.Server) func() map[string]int {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	var mu sync.Mutex
	counts := make(map[string]int)
	_, err = conn.Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		if !bytes.Equal(m.Data, []byte("+WPI")) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		counts[sequenceOf(m.Subject)]++
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(counts)
	}
}

// sequenceOf returns the stream sequence in the subject of an acknowledgement: the fourth token from the end of
// $JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMERSEQUENCE.TIME.PENDING.
func sequenceOf(subject string) string {
	tokens := strings.Split(subject, ".")
	return tokens[max(len(tokens)-4, 0)]
}
