package bus

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
)

// TestRemove: a message goes with its parts, the others stay; what is gone already is no error.
func TestRemove(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		large := randomBytes(2*partSize + 1)
		sequences, err := b.Append(t.Context(), event.Raw, rawMessage("a", []byte("one")), rawMessage("b", large), rawMessage("c", []byte("three")))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Remove(t.Context(), event.Raw, sequences[1]); err != nil {
				t.Fatal(err)
			}
		}
		var left []uint64
		err = b.Scan(t.Context(), ReadOptions{Stream: event.Raw}, func(m Message) error {
			left = append(left, m.Sequence)
			return nil
		})
		if diff := cmp.Diff([]uint64{sequences[0], sequences[2]}, left); diff != "" || err != nil {
			t.Errorf("what is left, %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestScan reads what is there and ends, also where nothing is.
func TestScan(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		scan := func() (bodies []string) {
			t.Helper()
			a, c := rawMessage("a", nil).Subject, rawMessage("c", nil).Subject
			err := b.Scan(t.Context(), ReadOptions{Stream: event.Raw, Subjects: []string{a, c}}, func(m Message) error {
				bodies = append(bodies, string(m.Data))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return bodies
		}
		if got := scan(); len(got) > 0 {
			t.Errorf("an empty stream gives %q", got)
		}
		if _, err := b.Append(t.Context(), event.Raw, rawMessage("b", []byte("1"))); err != nil {
			t.Fatal(err)
		}
		if got := scan(); len(got) > 0 {
			t.Errorf("other subjects give %q", got)
		}
		if _, err := b.Append(t.Context(), event.Raw, rawMessage("a", []byte("2")), rawMessage("b", []byte("3")), rawMessage("c", []byte("4"))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"2", "4"}, scan()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		end := errors.New("enough")
		if err := b.Scan(t.Context(), ReadOptions{Stream: event.Raw}, func(Message) error { return end }); !errors.Is(err, end) {
			t.Errorf("scan ends with %v", err)
		}
	})
}

// TestAppendNew stores on subjects that have no message, and nothing if one has.
func TestAppendNew(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		for _, m := range [][]Message{
			{rawMessage("a", []byte("one"))},
			{rawMessage("b", randomBytes(partSize+1)), rawMessage("c", []byte("two"))},
		} {
			if err := b.AppendNew(t.Context(), event.Raw, m); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range [][]Message{
			{rawMessage("a", []byte("again"))},
			{rawMessage("d", []byte("three")), rawMessage("b", randomBytes(partSize+1))},
		} {
			if err := b.AppendNew(t.Context(), event.Raw, m); !errors.Is(err, ErrFenced) {
				t.Errorf("publishing again: %v, want ErrFenced", err)
			}
		}
		if _, err := b.Last(t.Context(), event.Raw, rawMessage("d", nil).Subject); !errors.Is(err, ErrNotFound) {
			t.Errorf("a message of a refused batch: %v", err)
		}
	})
}

// TestPartitions reads the number from the log.
func TestPartitions(t *testing.T) {
	b := oneNode(t)
	if n, err := b.Partitions(t.Context()); n != testPartitions || err != nil {
		t.Errorf("%d partitions, %v", n, err)
	}
}
