package archive

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

// both runs a test on a tree in memory and on the same one on disk.
func both(t *testing.T, tree fstest.MapFS, test func(t *testing.T, fsys fs.FS)) {
	t.Run("memory", func(t *testing.T) { test(t, tree) })
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, tree); err != nil {
			t.Fatal(err)
		}
		test(t, os.DirFS(dir))
	})
}

func TestLists(t *testing.T) {
	tree := fstest.MapFS{TempDir + "/x/1/1.json": {}, "file": {}, "a/file": {}, "a/@s/file": {}, "b/n/x/1.json": {}, "b/n/007/7.json": {}}
	for _, target := range []scrape.Target{
		{Account: "a", Name: "z:1.j"}, {Account: "a", Name: "b"}, {Account: "a", Source: "t", Name: "a"}, {Account: "a", Source: "s", Name: "z"},
		{Account: "b", Name: "n"},
	} {
		for _, epoch := range []int64{100, 9, 10} {
			addScrape(t, tree, target, epoch, 1)
		}
	}
	both(t, tree, func(t *testing.T, fsys fs.FS) {
		accounts, err := AccountDirs(fsys)
		if diff := cmp.Diff([]string{"a", "b"}, accounts); diff != "" || err != nil {
			t.Errorf("accounts: %v (-want +got):\n%s", err, diff)
		}
		targets, err := TargetDirs(fsys, AccountDir("a"))
		if diff := cmp.Diff([]string{"a/b", "a/z_1.j", "a/@s/z", "a/@t/a"}, targets); diff != "" || err != nil {
			t.Errorf("targets: %v (-want +got):\n%s", err, diff)
		}
		epochs, err := Epochs(fsys, "b/n")
		if diff := cmp.Diff([]int64{9, 10, 100}, epochs); diff != "" || err != nil {
			t.Errorf("epochs: %v (-want +got):\n%s", err, diff)
		}
		for _, dir := range []string{"c", "a/c"} {
			if targets, err := TargetDirs(fsys, dir); len(targets) > 0 || err != nil {
				t.Errorf("targets in %s, which is missing: %v, %v", dir, targets, err)
			}
			if epochs, err := Epochs(fsys, dir); len(epochs) > 0 || err != nil {
				t.Errorf("epochs in %s, which is missing: %v, %v", dir, epochs, err)
			}
		}
	})
	if _, err := AccountDirs(os.DirFS(t.TempDir() + "/missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("accounts of no directory: %v, want %v", err, fs.ErrNotExist)
	}
}

func TestTargetOf(t *testing.T) {
	long := scrape.Target{Account: "a", Name: strings.Repeat("n", 200)}
	gone := TargetDir(scrape.Target{Account: "a", Name: strings.Repeat("m", 200)})
	tree := fstest.MapFS{gone + "/5/5.json": {Data: []byte(`{"account":"a","iid":"another"}`)}, TargetDir(long) + "/7/x": {}}
	addScrape(t, tree, long, 5, 1)
	addScrape(t, tree, testTarget(), 5, 1)
	both(t, tree, func(t *testing.T, fsys fs.FS) {
		for _, want := range []scrape.Target{long, testTarget()} {
			if got, err := TargetOf(fsys, TargetDir(want)); got != want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
		if got, err := TargetOf(fsys, gone); !errors.Is(err, ErrHashed) {
			t.Errorf("of a hash that nothing explains: %v, %v, want %v", got, err, ErrHashed)
		}
	})
}

func TestParts(t *testing.T) {
	tree := fstest.MapFS{}
	want := addScrape(t, tree, testTarget(), 5000, 1.5, 2)
	p := PathsIn(TargetDir(testTarget()), 5000)
	m, err := ReadMetadata(tree, p)
	if diff := cmp.Diff(want, m); diff != "" || err != nil {
		t.Errorf("metadata: %v (-want +got):\n%s", err, diff)
	}
	text, err := ReadText(tree, p)
	if err != nil || !strings.HasSuffix(string(text), "\n") || !strings.Contains(string(text), `m{i="a"} 1.500000`) {
		t.Errorf("text: %v, %q", err, text)
	}
	sizes, err := Stat(tree, p)
	if err != nil || sizes != (Sizes{Data: int64(len(tree[p.Data].Data)), Metadata: int64(len(tree[p.Metadata].Data))}) {
		t.Errorf("sizes: %+v, %v", sizes, err)
	}
	if sizes.Total() != sizes.Data+sizes.Metadata {
		t.Errorf("total %d of %+v", sizes.Total(), sizes)
	}
	other := PathsIn("acme/@eu/other", 5000)
	tree[other.Metadata] = tree[p.Metadata]
	if _, err := ReadMetadata(tree, other); err == nil {
		t.Error("metadata of another target is taken")
	}
	if _, err := Stat(tree, other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sizes without data: %v", err)
	}
}
