package bus

import (
	"testing"

	"github.com/zstats/zstats/pkg/event"
)

// TestReaderWaitsForDurability: JetStream delivers the first messages of a batch while it still stores the others, and syncs after
// that; the reader hands none of them over before.
func TestReaderWaitsForDurability(t *testing.T) {
	b := oneNode(t)
	r, err := b.Read(t.Context(), ReadOptions{Stream: event.Raw, New: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next := func() {
		t.Helper()
		m, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.server.current()
		if err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		durable := l.mark(event.Raw).sequence
		l.mu.Unlock()
		if m.Sequence > durable {
			t.Errorf("message %d was handed over, and the stream is known to be durable up to %d", m.Sequence, durable)
		}
	}
	const batches, size = 5, 900
	failed := make(chan error, 1)
	go func() {
		var batch []Message
		for range size {
			batch = append(batch, rawMessage("a", randomBytes(2000)))
		}
		for range batches {
			if _, err := b.Append(t.Context(), event.Raw, batch...); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for range batches * size {
		next()
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	// Of what somebody else publishes no acknowledgement comes here.
	if err := b.conn.Publish(rawMessage("a", nil).Subject, []byte("from elsewhere")); err != nil {
		t.Fatal(err)
	}
	next()
}
