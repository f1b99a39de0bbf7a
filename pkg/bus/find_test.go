package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
)

func TestFind(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		if _, err := b.Find(t.Context(), event.Raw, ">", 0); !errors.Is(err, ErrNotFound) {
			t.Fatalf("in an empty stream: %v, want ErrNotFound", err)
		}
		before := time.Now().Add(-time.Second)
		subjects := make([]string, 0, 4)
		for _, name := range []string{"a", "b", "a", "c"} {
			m := rawMessage(name, []byte(name))
			subjects = append(subjects, m.Subject)
			if _, err := b.Append(t.Context(), event.Raw, m); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			name, subject string
			from, want    uint64 // want 0: none
		}{
			{"the first of all", ">", 0, 1},
			{"itself", ">", 3, 3},
			{"the next on a subject", subjects[0], 2, 3},
			{"with wildcards", "zs.raw.*.acme.c", 1, 4},
			{"none any more", subjects[1], 3, 0},
			{"behind the last", ">", 5, 0},
			{"no such subject", "zs.raw.*.other.*", 0, 0},
		} {
			got, err := b.Find(t.Context(), event.Raw, c.subject, c.from)
			if c.want == 0 {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: got %+v, %v, want ErrNotFound", c.name, got, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got.Sequence != c.want || got.Subject != subjects[c.want-1] || got.Stored.Before(before) {
				t.Errorf("%s: got %+v, want sequence %d on %s", c.name, got, c.want, subjects[c.want-1])
			}
		}
	})
}
