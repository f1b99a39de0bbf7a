package bus

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
)

// breakMessages appends messages of which some have lost parts, and returns the sequences of the broken ones and of those that are
// not.
func breakMessages(t *testing.T, b *Bus) (broken, whole []uint64) {
	t.Helper()
	strange := func(parts string) Message {
		m := rawMessage("target-1", nil)
		m.Header[headerParts] = parts
		return m
	}
	large := rawMessage("target-1", randomBytes(3*partSize))
	sequences, err := b.Append(t.Context(), event.Raw,
		rawMessage("target-1", []byte("x")), large, strange("many"), strange("5000"), strange("-1"), large, rawMessage("target-1", []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.stream(t.Context(), event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := removeOne(t.Context(), s, sequences[1]-2); err != nil {
		t.Fatal(err)
	}
	return sequences[1:5], []uint64{sequences[0], sequences[5], sequences[6]}
}

// TestBrokenMessages: a message without all of its parts is an error, or marked for who asks for that, and what is behind it is
// read as ever.
func TestBrokenMessages(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		broken, whole := breakMessages(t, b)
		var marked, read []uint64
		err := b.Scan(t.Context(), ReadOptions{Stream: event.Raw, Subjects: []string{"zs.raw.>"}, Broken: true}, func(m Message) error {
			if m.Broken == nil {
				read = append(read, m.Sequence)
				return nil
			}
			marked = append(marked, m.Sequence)
			if !errors.Is(m.Broken, ErrBroken) || m.Data != nil || m.Header[event.HeaderTarget] != "target-1" {
				t.Errorf("message %d: %v, %d bytes of data, header %v", m.Sequence, m.Broken, len(m.Data), m.Header)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		equalSequences(t, "marked", marked, broken)
		equalSequences(t, "read", read, whole)
		err = b.Scan(t.Context(), ReadOptions{Stream: event.Raw, Subjects: []string{"zs.raw.>"}}, func(Message) error { return nil })
		if !errors.Is(err, ErrBroken) {
			t.Errorf("a reader that was not asked to mark them: %v", err)
		}
		for _, sequence := range broken {
			if _, err := b.Get(t.Context(), event.Raw, sequence); !errors.Is(err, ErrBroken) || !errors.Is(err, ErrNotFound) {
				t.Errorf("Get(%d): %v", sequence, err)
			}
		}
	})
}

// TestWorkerPassesBrokenMessages: they reach the processor in their place, and the worker goes on.
func TestWorkerPassesBrokenMessages(t *testing.T) {
	b := oneNode(t)
	broken, whole := breakMessages(t, b)
	var mu sync.Mutex // guards marked and read
	var marked, read []uint64
	start(t, newCounter(t, b, "one", func(batch []Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range batch {
			if d.Broken != nil {
				marked = append(marked, d.Sequence)
			} else {
				read = append(read, d.Sequence)
			}
		}
		return nil
	}).Run)
	eventually.Succeeds(t, "all is done", func() error {
		n, err := b.StageStatus(t.Context(), counterStage(), testPartitions)
		if err != nil {
			return err
		}
		for _, p := range n {
			if p.Lag > 0 {
				return errNotYet
			}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	equalSequences(t, "marked", marked, broken)
	equalSequences(t, "read", read, whole)
}

func equalSequences(t *testing.T, what string, got, want []uint64) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
