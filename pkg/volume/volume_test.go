package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const temp = ".tmp"

// each runs a test with either way of syncing.
func each(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("whole file system", func(t *testing.T) { test(t, Options{Dir: t.TempDir(), Temp: temp}) })
	t.Run("each file", func(t *testing.T) { test(t, Options{Dir: t.TempDir(), Temp: temp, EachFile: true}) })
}

func open(t *testing.T, o Options) *Volume {
	t.Helper()
	v, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return v
}

func begin(t *testing.T, v *Volume) {
	t.Helper()
	if err := v.Begin(); err != nil {
		t.Fatal(err)
	}
}

// stage stages a directory with two files.
func stage(t *testing.T, v *Volume, path, content string) *Entry {
	t.Helper()
	e, err := v.Stage(path, File{"a", []byte(content)}, File{"b", []byte(content + content)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func publish(t *testing.T, v *Volume, entries ...*Entry) {
	t.Helper()
	if err := v.Publish(entries); err != nil {
		t.Fatal(err)
	}
}

// tree returns the files below dir with their contents, and empty directories as "dir".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			entries, err := os.ReadDir(path)
			if len(entries) == 0 {
				files[rel] = "dir"
			}
			return err
		}
		data, err := os.ReadFile(path)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPublish(t *testing.T) {
	each(t, func(t *testing.T, o Options) {
		v := open(t, o)
		begin(t, v)
		publish(t, v, stage(t, v, "x/y/1", "one"), stage(t, v, "x/y/2", "two"), stage(t, v, "3", "three"))
		publish(t, v)
		begin(t, v)
		publish(t, v, stage(t, v, "x/z/1", "four"))
		if err := v.Abort(); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"x/y/1/a": "one", "x/y/1/b": "oneone", "x/y/2/a": "two", "x/y/2/b": "twotwo",
			"3/a": "three", "3/b": "threethree", "x/z/1/a": "four", "x/z/1/b": "fourfour", temp: "dir",
		}
		if diff := cmp.Diff(want, tree(t, o.Dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

func TestReplace(t *testing.T) {
	each(t, func(t *testing.T, o Options) {
		v := open(t, o)
		begin(t, v)
		publish(t, v, stage(t, v, "x/1", "one"), stage(t, v, "x/2", "two"))
		old, fresh := stage(t, v, "x/1", "other"), stage(t, v, "x/3", "three")
		old.Replace, fresh.Replace = true, true
		publish(t, v, old, fresh)
		if old.Taken || fresh.Taken {
			t.Errorf("Taken is %v and %v, want neither", old.Taken, fresh.Taken)
		}
		if !old.Replaced || fresh.Replaced {
			t.Errorf("Replaced is %v and %v, want only the first", old.Replaced, fresh.Replaced)
		}
		if err := v.Abort(); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"x/1/a": "other", "x/1/b": "otherother", "x/2/a": "two", "x/2/b": "twotwo", "x/3/a": "three", "x/3/b": "threethree", temp: "dir",
		}
		if diff := cmp.Diff(want, tree(t, o.Dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

func TestExchangeInSteps(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, name := range []string{a, b} {
		if err := os.Mkdir(name, dirMode); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(name, "was"), []byte(filepath.Base(name)), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	if err := exchangeInSteps(a, b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a/was": "b", "b/was": "a"}, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTakenPlaceIsLeftAlone(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(place string) error
		want    map[string]string
	}{
		{"directory", func(place string) error {
			return errors.Join(os.Mkdir(place, dirMode), os.WriteFile(filepath.Join(place, "old"), []byte("x"), fileMode))
		}, map[string]string{"t/1/old": "x"}},
		{"empty directory", func(place string) error { return os.Mkdir(place, dirMode) }, map[string]string{"t/1": "dir"}},
		{"file", func(place string) error { return os.WriteFile(place, []byte("x"), fileMode) }, map[string]string{"t/1": "x"}},
		{"file instead of a parent", func(place string) error {
			return errors.Join(os.Remove(filepath.Dir(place)), os.WriteFile(filepath.Dir(place), []byte("x"), fileMode))
		}, map[string]string{"t": "x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, o Options) {
				v := open(t, o)
				if err := os.Mkdir(filepath.Join(o.Dir, "t"), dirMode); err != nil {
					t.Fatal(err)
				}
				if err := test.prepare(filepath.Join(o.Dir, "t", "1")); err != nil {
					t.Fatal(err)
				}
				begin(t, v)
				taken, free := stage(t, v, "t/1", "new"), stage(t, v, "u/1", "new")
				publish(t, v, taken, free)
				if !taken.Taken || free.Taken {
					t.Errorf("Taken is %v and %v, want true and false", taken.Taken, free.Taken)
				}
				test.want["u/1/a"], test.want["u/1/b"] = "new", "newnew"
				if err := v.Abort(); err != nil {
					t.Fatal(err)
				}
				test.want[temp] = "dir"
				if diff := cmp.Diff(test.want, tree(t, o.Dir)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRenameIfFree(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.Mkdir(from, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(to, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := renameIfFree(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename to an empty directory: %v, want it refused", err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := renameIfFree(from, to); err != nil {
		t.Errorf("rename to a free place: %v", err)
	}
	if err := renameIfFree(from, filepath.Join(dir, "other")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename of what is not there: %v", err)
	}
}

// TestStop stops a group at each step; then another process does the same work.
func TestStop(t *testing.T) {
	errStop := errors.New("stop")
	places := []string{"x/1", "x/2", "y/1"}
	for _, step := range []Step{Staged, Written, Durable, Placed, Named} {
		for stopAt := range 3 {
			t.Run(fmt.Sprintf("%s %d", step, stopAt), func(t *testing.T) {
				o := Options{Dir: t.TempDir(), Temp: temp}
				seen := 0
				o.Hook = func(s Step) error {
					if s == step {
						seen++
						if seen == stopAt+1 {
							return errStop
						}
					}
					return nil
				}
				v := open(t, o)
				err := write(v, places)
				if want := stopAt < seen; errors.Is(err, errStop) != want {
					t.Fatalf("write: %v, stopped: %v", err, want)
				}
				if err := v.Abort(); err != nil {
					t.Fatal(err)
				}
				for name := range tree(t, o.Dir) {
					if name != temp && !slices.Contains(places, filepath.Dir(name)) {
						t.Errorf("%s was left behind", name)
					}
				}
				o.Hook = nil
				again := open(t, o)
				if err := write(again, places); err != nil {
					t.Fatal(err)
				}
				if err := again.Abort(); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{temp: "dir"}
				for _, place := range places {
					want[place+"/a"] = place
				}
				if diff := cmp.Diff(want, tree(t, o.Dir)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// write brings a file of each place's own name to it.
func write(v *Volume, places []string) error {
	if err := v.Begin(); err != nil {
		return err
	}
	var entries []*Entry
	for _, place := range places {
		e, err := v.Stage(place, File{"a", []byte(place)})
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	return v.Publish(entries)
}

func TestSweepSparesTheLiving(t *testing.T) {
	o := Options{Dir: t.TempDir(), Temp: temp}
	living, dead := open(t, o), open(t, o)
	begin(t, living)
	begin(t, dead)
	entry := stage(t, living, "x/1", "living")
	stage(t, dead, "x/2", "dead")
	// A process that dies leaves everything but its lock.
	if err := dead.claim.lock.Close(); err != nil {
		t.Fatal(err)
	}
	dead.claim = nil
	foreign := filepath.Join(o.Dir, temp, "foreign")
	if err := os.Mkdir(foreign, dirMode); err != nil {
		t.Fatal(err)
	}

	removed, err := open(t, o).Sweep()
	if err != nil || removed != 1 {
		t.Errorf("Sweep: %d, %v; want 1", removed, err)
	}
	left, err := os.ReadDir(filepath.Join(o.Dir, temp))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 { // the living process's directory and lock, and what is not ours
		t.Errorf("%d entries are left in %s, want 3: %v", len(left), temp, left)
	}
	publish(t, living, entry)
	if got := tree(t, filepath.Join(o.Dir, "x")); got["1/b"] != "livingliving" {
		t.Errorf("files of the living process: %v", got)
	}
	if removed, err := living.Sweep(); err != nil || removed != 0 {
		t.Errorf("second Sweep: %d, %v; want 0", removed, err)
	}
}

// TestSweepOfTheLiving is what happens where locks are not shared: the process that is swept away publishes nothing, and
// can go on after Abort.
func TestSweepOfTheLiving(t *testing.T) {
	o := Options{Dir: t.TempDir(), Temp: temp}
	v := open(t, o)
	begin(t, v)
	entry := stage(t, v, "x/1", "one")
	if err := v.claim.lock.Close(); err != nil {
		t.Fatal(err)
	}
	if removed, err := open(t, o).Sweep(); err != nil || removed != 1 {
		t.Fatalf("Sweep: %d, %v; want 1", removed, err)
	}
	if err := v.Publish([]*Entry{entry}); err == nil {
		t.Error("Publish succeeded without its files")
	}
	_ = v.Abort() // the lock was closed above
	begin(t, v)
	publish(t, v, stage(t, v, "x/1", "two"))
	if got := tree(t, filepath.Join(o.Dir, "x")); got["1/b"] != "twotwo" {
		t.Errorf("files after the second try: %v", got)
	}
}

func TestLostLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	f, err := lockNew(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !isAt(f, name) {
		t.Error("new lock is not at its name")
	}
	if dead, err := sweep(name); dead || err != nil {
		t.Errorf("sweep of a held lock: %v, %v", dead, err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if isAt(f, name) {
		t.Error("removed lock is at its name")
	}
	if err := os.WriteFile(name, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if isAt(f, name) {
		t.Error("lock is at its name where another file is")
	}
}

func TestReserve(t *testing.T) {
	v := open(t, Options{Dir: t.TempDir(), Temp: temp, Reserve: 1 << 62})
	if err := v.Begin(); !errors.Is(err, ErrReserve) {
		t.Errorf("Begin: %v, want %v", err, ErrReserve)
	}
	if got := tree(t, v.o.Dir); !cmp.Equal(got, map[string]string{temp: "dir"}) {
		t.Errorf("files: %v, want none", got)
	}
}

func TestTellsCase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "probe"), nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if err := tellsCase(dir, os.Lstat); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	folding := func(name string) (fs.FileInfo, error) { return os.Lstat(filepath.Join(filepath.Dir(name), "probe")) }
	if err := tellsCase(dir, folding); err == nil {
		t.Error("a file system that folds case is taken")
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if v, err := Open(Options{Dir: file, Temp: temp}); err == nil {
		t.Errorf("Open of a file: %v", v)
	}
}
