package reading_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/archive/archivetest"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/reading"
	"github.com/zstats/zstats/pkg/scrape"
)

func targets() []scrape.Target {
	return []scrape.Target{
		{Account: "acme", Name: "10.0.0.1:9100.node"},
		{Account: "acme", Source: "eu", Name: "10.0.0.1:9100.node"},
		{Account: "acme", Name: "db:9187.postgres"},
		{Account: "globex", Name: "10.0.0.1:9100.node"},
		{Account: "globex", Source: "us", Name: "https://example.com/a.blackbox"},
		{Account: "globex", Name: strings.Repeat("long", 60)},
		{Account: strings.Repeat("account", 40), Name: "only"},
	}
}

func newTree(t *testing.T) (reading.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for _, target := range targets() {
		for epoch := int64(1); epoch <= 3; epoch++ {
			archivetest.Write(t, dir, target, epoch*1_000_000, fmt.Sprintf("up 1\nvalue{x=\"1\"} %d\n", epoch))
		}
	}
	for _, foreign := range []string{".tmp/claim/1", "acme/%zz/1", "%zz"} {
		if err := os.MkdirAll(filepath.Join(dir, foreign), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return reading.Tree{FS: os.DirFS(dir)}, dir
}

func TestLists(t *testing.T) {
	tree, _ := newTree(t)
	accounts, err := tree.Accounts()
	if diff := cmp.Diff([]string{strings.Repeat("account", 40), "acme", "globex"}, accounts); diff != "" || err != nil {
		t.Errorf("accounts: %v (-want +got):\n%s", err, diff)
	}
	all, err := tree.AllTargets()
	if err != nil {
		t.Fatal(err)
	}
	got := map[scrape.Target]bool{}
	for _, target := range all {
		got[target.Target] = true
		if target.Dir != archive.TargetDir(target.Target) {
			t.Errorf("%v lies in %s", target.Target, target.Dir)
		}
	}
	for _, target := range targets() {
		if !got[target] {
			t.Errorf("%v is not listed", target)
		}
	}
	if len(all) != len(targets()) {
		t.Errorf("%d targets, want %d: %v", len(all), len(targets()), all)
	}
}

func TestFind(t *testing.T) {
	tree, _ := newTree(t)
	for _, c := range []struct {
		name, account string
		want          int    // among targets, or -1
		err           error  // wrapped
		says          string // by the error
	}{
		{"db:9187.postgres", "", 2, nil, ""},
		{"acme/10.0.0.1:9100.node", "", 0, nil, ""},
		{"acme/@eu/10.0.0.1:9100.node", "", 1, nil, ""},
		{"@eu/10.0.0.1:9100.node", "", 1, nil, ""},
		{"acme/@eu/10.0.0.1_9100.node", "", 1, nil, ""},
		{"10.0.0.1:9100.node", "globex", 3, nil, ""},
		{"10.0.0.1:9100.node", "acme", 0, nil, ""},
		{"https://example.com/a.blackbox", "", 4, nil, ""},
		{strings.Repeat("long", 60), "", 5, nil, ""},
		{"only", "", 6, nil, ""},
		{"10.0.0.1:9100.node", "", -1, reading.ErrAmbiguous, "\n  acme/10.0.0.1:9100.node\n  acme/@eu/10.0.0.1:9100.node\n  globex/10.0.0.1:9100.node"},
		{"db:9187.postgre", "", -1, reading.ErrNotFound, "did you mean:\n  db:9187.postgres"},
		{"DB", "", -1, reading.ErrNotFound, "\n  db:9187.postgres"},
		{"acme/10.0.0.2:9100.node", "", -1, reading.ErrNotFound, "\n  acme/10.0.0.1:9100.node"},
		{"10.0.0.1:9100.nodes", "", -1, reading.ErrNotFound, "did you mean:\n  10.0.0.1:9100.node"},
		{"quite something else", "", -1, reading.ErrNotFound, "'zstats ls' lists"},
		{"", "", -1, reading.ErrNotFound, "'zstats ls' lists"},
		{"only", "acne", -1, reading.ErrNotFound, "account \"acne\" not found, did you mean:\n  acme"},
	} {
		got, err := tree.Find(c.name, c.account)
		switch {
		case c.want >= 0 && (err != nil || got.Target != targets()[c.want]):
			t.Errorf("%q of %q: %v, %v, want %v", c.name, c.account, got, err, targets()[c.want])
		case c.want < 0 && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%q of %q: %v, %v, want %v that says %q", c.name, c.account, got, err, c.err, c.says)
		}
	}
	if _, err := (reading.Tree{FS: os.DirFS(t.TempDir())}).Find("x", ""); !errors.Is(err, reading.ErrNotFound) || !strings.Contains(err.Error(), "there are none") {
		t.Errorf("in an empty directory: %v", err)
	}
}

func TestNamesInErrorsAreBounded(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("host-%02d", i))
	}
	err := reading.NotFound("target", "host", names)
	if got := strings.Count(err.Error(), "\n"); got != 9 || !strings.HasSuffix(err.Error(), "and 42 more") {
		t.Errorf("%d lines: %v", got, err)
	}
}

func TestPick(t *testing.T) {
	epochs := []int64{10, 20, 30}
	for until, want := range map[int64]int{9: -1, 10: 0, 19: 0, 20: 1, 30: 2, 1000: 2, math.MaxInt64: 2} {
		got, err := reading.Pick(epochs, until, time.UTC, time.DateTime)
		if want < 0 {
			if !errors.Is(err, reading.ErrNotFound) || !strings.Contains(err.Error(), "the first is of 1970-01-01 00:00:00") {
				t.Errorf("until %d: %d, %v", until, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("until %d: %d, %v, want %d", until, got, err, want)
		}
	}
	if _, err := reading.Pick(nil, 5, time.UTC, time.DateTime); !errors.Is(err, reading.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
}

func TestEpochsAndRows(t *testing.T) {
	tree, dir := newTree(t)
	target, err := tree.Find("db:9187.postgres", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    reading.Range
		want []int64
	}{
		{reading.Always(), []int64{1_000_000, 2_000_000, 3_000_000}},
		{reading.Range{Since: 2_000_000, Until: math.MaxInt64}, []int64{2_000_000, 3_000_000}},
		{reading.Range{Since: 1_000_001, Until: 2_000_000}, []int64{2_000_000}},
		{reading.Range{Since: 4_000_000, Until: math.MaxInt64}, []int64{}},
		{reading.Range{Since: 3, Until: 2}, []int64{}},
	} {
		got, err := tree.Epochs(target, c.r)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got):\n%s", c.r, err, diff)
		}
	}
	// One scrape is removed between the listing and the reading.
	if err := os.RemoveAll(filepath.Join(dir, archive.PathsIn(target.Dir, 2_000_000).Dir)); err != nil {
		t.Fatal(err)
	}
	rows, err := tree.Rows(target, []int64{1_000_000, 2_000_000, 3_000_000})
	if err != nil || len(rows) != 2 || rows[1].Epoch != 3_000_000 || rows[1].Metadata.Samples != 2 || rows[1].Sizes.Data == 0 {
		t.Errorf("rows: %+v, %v", rows, err)
	}
	// One that has lost a file is an error.
	if err := os.Remove(filepath.Join(dir, archive.PathsIn(target.Dir, 3_000_000).Data)); err != nil {
		t.Fatal(err)
	}
	if rows, err := tree.Rows(target, []int64{3_000_000}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rows: %+v, %v, want %v", rows, err, fs.ErrNotExist)
	}
}

func TestText(t *testing.T) {
	tree, _ := newTree(t)
	target, err := tree.Find("@eu/10.0.0.1:9100.node", "")
	if err != nil {
		t.Fatal(err)
	}
	for merge, want := range map[bool]string{
		false: "# HELP up \n# TYPE up untyped\nup{} 1.000000\n# HELP value \n# TYPE value untyped\nvalue{x=\"1\"} 2.000000\n",
		true: "# HELP up \n# TYPE up untyped\nup{instance=\"10.0.0.1:9100.node\"} 1.000000\n" +
			"# HELP value \n# TYPE value untyped\nvalue{x=\"1\", instance=\"10.0.0.1:9100.node\"} 2.000000\n",
	} {
		text, err := tree.Text(target, 2_000_000, merge)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("merge %t (-want +got):\n%s", merge, diff)
		}
	}
	if _, err := tree.Text(target, 7, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("text of a scrape that is gone: %v", err)
	}
}

func TestSummarize(t *testing.T) {
	dir := t.TempDir()
	target := scrape.Target{Account: "a", Name: "t"}
	var exact int64
	for epoch := range int64(100) {
		archivetest.Write(t, dir, target, 1_000_000+epoch, "up 1\n")
		sizes, err := archive.Stat(os.DirFS(dir), archive.ScrapePaths(target, 1_000_000+epoch))
		if err != nil {
			t.Fatal(err)
		}
		exact += sizes.Total()
	}
	tree := reading.Tree{FS: os.DirFS(dir)}
	found, err := tree.Find("t", "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.Summarize(found, reading.Always(), true)
	want := reading.Summary{Targets: 1, Scrapes: 100, First: 1_000_000, Last: 1_000_099, Bytes: exact}
	if got != want || err != nil {
		t.Errorf("exact: %+v, %v, want %+v", got, err, want)
	}
	got, err = tree.Summarize(found, reading.Always(), false)
	if err != nil || !got.Estimated || got.Bytes < exact*9/10 || got.Bytes > exact*11/10 {
		t.Errorf("estimated: %+v, %v, want about %+v", got, err, want)
	}
	got, err = tree.Summarize(found, reading.Range{Since: 1_000_090, Until: 1_000_094}, false)
	if err != nil || got.Estimated || got.Scrapes != 5 || got.First != 1_000_090 || got.Last != 1_000_094 {
		t.Errorf("of a range: %+v, %v", got, err)
	}
	var sum reading.Summary
	sum.Add(reading.Summary{})
	sum.Add(want)
	sum.Add(reading.Summary{Targets: 1, Scrapes: 1, First: 5, Last: 5, Bytes: 3, Estimated: true})
	if sum != (reading.Summary{Targets: 2, Scrapes: 101, First: 5, Last: 1_000_099, Bytes: exact + 3, Estimated: true}) {
		t.Errorf("sum: %+v", sum)
	}
}

func samples(t *testing.T, text string) []expo.Sample {
	t.Helper()
	s, err := expo.ReadText([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", "", "", "0 changed 0 added 0 removed 0 same"},
		{"the same", "a{x=\"1\",y=\"2\"} 1\nb NaN\n", "b NaN\na{y=\"2\",x=\"1\"} 1\n", "0 changed 0 added 0 removed 2 same"},
		{"all kinds", "gone 1\na 1\nb 2\n", "a 1\nb 3.5\nnew +Inf\n", "changed b 2 3.5; added new 0 +Inf; removed gone 1 0; 1 changed 1 added 1 removed 1 same"},
		{"the last bit", "a 0.1\n", "a 0.10000000000000002\n", "changed a 0.1 0.10000000000000002; 1 changed 0 added 0 removed 0 same"},
		{"signs of zero", "a 0\n", "a -0\n", "changed a 0 -0; 1 changed 0 added 0 removed 0 same"},
		{"times do not count", "a 1 5\n", "a 1 6\n", "0 changed 0 added 0 removed 1 same"},
		{"doubles", "a 1\na 2\na 3\n", "a 1\na 5\n", "changed a 2 5; removed a 3 0; 1 changed 0 added 1 removed 1 same"},
		{"values that look like labels", "a{b=\"c\",d=\"e\"} 1\n", "a{b=\"c,d=e\"} 1\n", "added a 0 1; removed a 1 0; 0 changed 1 added 1 removed 0 same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := reading.Compare(samples(t, c.old), samples(t, c.new))
			var got strings.Builder
			for _, change := range d.Changes {
				fmt.Fprintf(&got, "%s %s %v %v; ", change.Kind, change.Labels[0].Value, change.Old, change.New)
			}
			fmt.Fprintf(&got, "%d changed %d added %d removed %d same", d.Changed, d.Added, d.Removed, d.Same)
			if got.String() != c.want {
				t.Errorf("got  %s\nwant %s", got.String(), c.want)
			}
		})
	}
}
