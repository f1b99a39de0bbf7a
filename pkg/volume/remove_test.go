package volume

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRemove(t *testing.T) {
	each(t, func(t *testing.T, o Options) {
		v := open(t, o)
		begin(t, v)
		publish(t, v, stage(t, v, "x/1", "one"), stage(t, v, "x/2", "two"), stage(t, v, "y/1", "three"))
		other := open(t, o) // which has no claim yet
		gone, err := other.Remove([]string{"x/1", "x/7", "y/1"})
		if err != nil || !slices.Equal(gone, []bool{true, true, true}) {
			t.Errorf("Remove: %v, %v", gone, err)
		}
		if err := errors.Join(other.Abort(), v.Abort()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"x/2/a": "two", "x/2/b": "twotwo", "y": "dir", temp: "dir"}
		if diff := cmp.Diff(want, tree(t, o.Dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

// TestRemoveFails fails at each step. The next try removes the rest, and nothing half stays in its place.
func TestRemoveFails(t *testing.T) {
	broken := errors.New("the disk has failed")
	for _, step := range []Step{Moved, Gone} {
		t.Run(string(step), func(t *testing.T) {
			o := Options{Dir: t.TempDir(), Temp: temp}
			fail := true
			o.Hook = func(s Step) error {
				if fail && s == step {
					return broken
				}
				return nil
			}
			v := open(t, o)
			begin(t, v)
			publish(t, v, stage(t, v, "x/1", "one"), stage(t, v, "x/2", "two"), stage(t, v, "x/3", "three"))
			paths := []string{"x/1", "x/2"}
			if gone, err := v.Remove(paths); !errors.Is(err, broken) || !gone[0] || gone[1] != (step == Gone) {
				t.Errorf("Remove: %v, %v", gone, err)
			}
			fail = false
			if gone, err := v.Remove(paths); err != nil || !gone[0] || !gone[1] {
				t.Errorf("Remove again: %v, %v", gone, err)
			}
			if err := v.Abort(); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"x/3/a": "three", "x/3/b": "threethree", temp: "dir"}
			if diff := cmp.Diff(want, tree(t, o.Dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExclusive(t *testing.T) {
	o := Options{Dir: t.TempDir(), Temp: temp}
	a, b := open(t, o), open(t, o)
	held, err := a.Exclusive(".work")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exclusive(".work"); !errors.Is(err, ErrHeld) {
		t.Errorf("while it is held: %v, want ErrHeld", err)
	}
	other, err := b.Exclusive(".other")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Close(), held.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := b.Exclusive(".work")
	if err != nil {
		t.Fatalf("when it is free: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
