package retention

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shelfOf(dir string, epochs ...int64) *shelf {
	s := &shelf{dir: dir}
	s.list(epochs)
	return s
}

// TestLine checks that scrapes come oldest first, and the newest of each target never.
func TestLine(t *testing.T) {
	l := newLine([]*shelf{shelfOf("b", 2, 5, 9), shelfOf("a", 1, 5, 6, 7), shelfOf("only", 3), shelfOf("none")})
	type step struct {
		Dir   string
		Epoch int64
	}
	var got []step
	for {
		s, b, ok := l.first()
		if !ok {
			break
		}
		got = append(got, step{s.dir, b.epoch})
		l.skip()
	}
	want := []step{{"a", 1}, {"b", 2}, {"a", 5}, {"b", 5}, {"a", 6}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestListKeepsWhatIsMeasured(t *testing.T) {
	s := shelfOf("a", 2, 4, 6)
	for i := range s.books {
		s.books[i].bytes = 10 * s.books[i].epoch
	}
	s.list([]int64{1, 4, 5, 6, 8}) // 1 came late, 2 is gone
	want := []book{{1, 0}, {4, 40}, {5, 0}, {6, 60}, {8, 0}}
	if !slices.Equal(s.books, want) {
		t.Errorf("books are %v, want %v", s.books, want)
	}
	if s.bytes() != 100 {
		t.Errorf("bytes are %d, want 100", s.bytes())
	}
}
