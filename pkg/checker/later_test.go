package checker

import (
	"os"
	"testing"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/archive/archivetest"
)

// TestLater reads a tree to which a scrape comes while it is read, and from which another one goes.
func TestLater(t *testing.T) {
	dir := t.TempDir()
	files := os.DirFS(dir)
	for _, epoch := range []int64{1000, 2000} {
		archivetest.Write(t, dir, target, epoch, "m 1\n")
	}
	written := Tree(files)
	archivetest.Write(t, dir, target, 3000, "m 1\n")
	if err := os.RemoveAll(dir + "/" + archive.ScrapePaths(target, 1000).Dir); err != nil {
		t.Fatal(err)
	}
	var notified []Notified
	for i, epoch := range []int64{500, 1000, 2000, 3000} { // the first was removed long ago
		notified = append(notified, Notified{Target: target, Generation: epoch, Epoch: epoch, Sequence: uint64(i + 1)})
	}
	written = Later(files, written, notified)
	if len(written) != 3 {
		t.Fatalf("%d scrapes, want 3", len(written))
	}
	report := Compare(Run{Written: written, Notified: notified, Retention: true})
	if !report.OK() || report.Removed != 1 {
		t.Errorf("report: %s", report)
	}
}
