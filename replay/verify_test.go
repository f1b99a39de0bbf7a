package replay

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/archive/archivetest"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestVerifyFindsPlantedDifferences plants one difference of each kind in a directory of files.
func TestVerifyFindsPlantedDifferences(t *testing.T) {
	b := bustest.Open(t)
	start := begun()
	all := fill(t, b, start, 3, 10)
	target := all[0].target
	assemble(t, b)
	tests := []struct {
		name  string
		plant func(t *testing.T, p archive.Paths, dir string)
		want  []Kind
		says  string
	}{
		{"nothing", func(*testing.T, archive.Paths, string) {}, nil, ""},
		{"no scrape", func(t *testing.T, p archive.Paths, dir string) { remove(t, dir, p.Dir) }, []Kind{Missing}, "no such"},
		{"no target", func(t *testing.T, p archive.Paths, dir string) { remove(t, dir, filepath.Dir(p.Dir)) },
			slices.Repeat([]Kind{Missing}, 10), "no such"},
		{"another value", func(t *testing.T, p archive.Paths, dir string) {
			rewrite(t, dir, p.Data, func(s string) string { return strings.Replace(s, " ", " 1", 1) })
		}, []Kind{Text}, "line"},
		{"another compression", func(t *testing.T, p archive.Paths, dir string) {
			rewrite(t, dir, p.Data, func(s string) string { return s })
		}, nil, ""},
		{"half a file", func(t *testing.T, p archive.Paths, dir string) {
			change(t, dir, p.Data, func(s string) string { return s[:len(s)/2] })
		}, []Kind{Damaged}, "EOF"},
		{"no data", func(t *testing.T, p archive.Paths, dir string) { remove(t, dir, p.Data) }, []Kind{Damaged}, "data file is missing"},
		{"no json", func(t *testing.T, p archive.Paths, dir string) { remove(t, dir, p.Metadata) }, []Kind{Damaged}, "json file is missing"},
		{"another json", func(t *testing.T, p archive.Paths, dir string) {
			change(t, dir, p.Metadata, func(s string) string { return strings.Replace(s, `"samples":3`, `"samples":4`, 1) })
		}, []Kind{Metadata}, "samples is 4"},
		{"the same json in other words", func(t *testing.T, p archive.Paths, dir string) {
			change(t, dir, p.Metadata, func(s string) string { return strings.ReplaceAll(s, `,"`, ` , "`) })
		}, nil, ""},
		{"another key", func(t *testing.T, p archive.Paths, dir string) {
			change(t, dir, p.Metadata, func(s string) string { return `{"more":1,` + s[1:] })
		}, []Kind{Metadata}, "more is 1"},
		{"no json at all", func(t *testing.T, p archive.Paths, dir string) {
			change(t, dir, p.Metadata, func(string) string { return "no json" })
		}, []Kind{Damaged}, "json"},
		{"both", func(t *testing.T, p archive.Paths, dir string) {
			rewrite(t, dir, p.Data, func(s string) string { return s + "more 1\n" })
			change(t, dir, p.Metadata, func(string) string { return "{}" })
		}, []Kind{Text, Metadata}, ""},
		{"one more scrape", func(t *testing.T, _ archive.Paths, dir string) {
			archivetest.Write(t, dir, target, start+1, "a 1\n")
		}, []Kind{Extra}, "log gives no such"},
		{"one more target", func(t *testing.T, _ archive.Paths, dir string) {
			archivetest.Write(t, dir, scrape.Target{Account: "b", Name: "x"}, start+1, "a 1\n")
		}, []Kind{Extra}, "log gives no such"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := replayTo(t, Options{Bus: b, Source: FromRaw})
			tt.plant(t, archive.ScrapePaths(target, start+3*step), dir)
			for _, from := range []Source{FromRaw, FromScrapes} {
				var found []Kind
				var details strings.Builder
				report := mustRun(t, Options{Bus: b, Source: from, Verify: dir, GroupMessages: 5, Found: func(d Difference) {
					found = append(found, d.Kind)
					details.WriteString(d.Detail + "\n")
				}})
				if diff := cmp.Diff(tt.want, found); diff != "" {
					t.Errorf("from %s (-want +got):\n%s%s", from, diff, details.String())
				}
				if !strings.Contains(details.String(), tt.says) {
					t.Errorf("from %s: it says %q, want %q", from, details.String(), tt.says)
				}
				if int(report.DifferenceCount()) != len(tt.want) {
					t.Errorf("from %s: report is %+v", from, report)
				}
			}
		})
	}
}

// TestVerifyWritesNothing compares the directory before and after.
func TestVerifyWritesNothing(t *testing.T) {
	b := bustest.Open(t)
	fill(t, b, begun(), 2, 3)
	dir := t.TempDir()
	mustRun(t, Options{Bus: b, Source: FromRaw, Verify: dir})
	if names := slices.Collect(maps.Keys(tree(t, dir))); len(names) > 0 {
		t.Errorf("verify has written %v", names)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("verify has left %v, %v", entries, err)
	}
	if _, err := runOnce(t.Context(), Options{Bus: b, Source: FromRaw, Verify: filepath.Join(dir, "none")}); err == nil {
		t.Error("a directory that does not exist is no error")
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, dir, name string, to func(string) string) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(to(string(data))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes a text and compresses it in another way.
func rewrite(t *testing.T, dir, name string, to func(string) string) {
	t.Helper()
	text, err := archive.ReadText(os.DirFS(dir), archive.Paths{Data: name})
	if err != nil {
		t.Fatal(err)
	}
	change(t, dir, name, func(string) string {
		var out strings.Builder
		z := gzip.NewWriter(&out)
		if _, err := z.Write([]byte(to(string(text)))); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	})
}
