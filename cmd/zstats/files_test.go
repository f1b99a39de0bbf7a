package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/archive/archivetest"
	"github.com/zstats/zstats/pkg/scrape"
)

var update = flag.Bool("update", false, "write the golden files anew")

// readingNow is when the golden files were made, in an hour's distance from UTC.
func readingNow() time.Time {
	return time.Date(2026, 11, 25, 15, 0, 0, 0, time.FixedZone("CET", 3600))
}

// readingFiles makes a directory of files in which there is something of everything.
func readingFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	start := readingNow().Add(-time.Hour).UnixMicro()
	node := scrape.Target{Account: "acme", Name: "10.0.0.1:9100.node"}
	for i := range int64(3) {
		archivetest.Write(t, dir, node, start+i*15_000_123, fmt.Sprintf(`# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 %g
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} %g
node_cpu_seconds_total{cpu="0",mode="a mode with a name that is far too long to be shown in any terminal"} 7
# TYPE round untyped
round{round="%d"} %d
`, 0.1*float64(i+1), 87456.98+0.25*float64(i), i, i))
	}
	for _, target := range []scrape.Target{
		{Account: "acme", Source: "eu-west-1", Name: "ip-10-122-33-144.eu-west-1.compute.internal:9100.node_exporter"},
		{Account: "acme", Source: "us", Name: "10.0.0.1:9100.node"},
		{Account: "a-rather-long-account-of-somebody", Name: "evil\x1b[2J\nname"},
	} {
		for i := range int64(40) {
			archivetest.Write(t, dir, target, start+i*1_000_000, "up 1\n")
		}
	}
	return dir
}

// show runs a command as at a terminal of some width; 0 is a pipe. It returns all that the command says.
func show(t *testing.T, width int, run func(d *display) error) string {
	t.Helper()
	var out bytes.Buffer
	d := &display{out: &out, notes: &out, width: width, zone: readingNow().Location()}
	if err := run(d); err != nil {
		fmt.Fprintf(&out, "zstats: %v\n", err)
	}
	return out.String()
}

func TestReadingGolden(t *testing.T) {
	files := filesFlags{files: readingFiles(t)}
	now := readingNow()
	ls := func(f lsFlags, name string) func(d *display) error {
		f.filesFlags = files
		return func(d *display) error { return f.run(d, name, now) }
	}
	diff := func(f diffFlags, name string) func(d *display) error {
		f.filesFlags = files
		return func(d *display) error {
			_, err := f.run(d, name, now)
			return err
		}
	}
	cat := func(f catFlags, name string) func(d *display) error {
		f.filesFlags = files
		return func(d *display) error { return f.run(d, name, now) }
	}
	for name, run := range map[string]func(d *display) error{
		"ls":               ls(lsFlags{limit: lsLimit}, ""),
		"ls-json":          ls(lsFlags{json: true}, ""),
		"ls-since":         ls(lsFlags{since: "59m30s"}, ""),
		"ls-targets":       ls(lsFlags{limit: lsLimit}, "acme"),
		"ls-targets-json":  ls(lsFlags{json: true, exact: true}, "acme/"),
		"ls-scrapes":       ls(lsFlags{limit: 2}, "acme/10.0.0.1:9100.node"),
		"ls-scrapes-json":  ls(lsFlags{json: true, until: "2026-11-25 14:00:01"}, "acme/10.0.0.1:9100.node"),
		"ls-nothing":       ls(lsFlags{until: "2026-11-25 13:00"}, "acme/10.0.0.1:9100.node"),
		"ls-near":          ls(lsFlags{}, "acm"),
		"cat":              cat(catFlags{}, "acme/10.0.0.1:9100.node"),
		"cat-at-raw":       cat(catFlags{at: "2026-11-25 14:00:15.000123", raw: true}, "acme/10.0.0.1:9100.node"),
		"cat-ambiguous":    cat(catFlags{}, "10.0.0.1:9100.node"),
		"cat-near":         cat(catFlags{}, "name"),
		"cat-before-first": cat(catFlags{at: "2h"}, "acme/10.0.0.1:9100.node"),
		"diff":             diff(diffFlags{}, "acme/10.0.0.1:9100.node"),
		"diff-json":        diff(diffFlags{json: true}, "acme/10.0.0.1:9100.node"),
		"diff-at":          diff(diffFlags{at: "2026-11-25 14:00:01", account: "acme"}, "10.0.0.1:9100.node"),
		"diff-same":        diff(diffFlags{}, "@us/10.0.0.1:9100.node"),
		"diff-one":         diff(diffFlags{to: "2026-11-25 14:00:01"}, "acme/10.0.0.1:9100.node"),
		"diff-order":       diff(diffFlags{at: "2026-11-25 14:00:30.1", to: "2026-11-25 14:00:01"}, "acme/10.0.0.1:9100.node"),
		"diff-twice":       diff(diffFlags{at: "1s", to: "0s"}, "acme/10.0.0.1:9100.node"),
	} {
		t.Run(name, func(t *testing.T) {
			narrow := show(t, 80, run)
			checkGolden(t, name, "at a terminal 80 wide:\n"+narrow+"\nin a pipe:\n"+show(t, 0, run))
			if strings.HasPrefix(name, "cat") || strings.HasSuffix(name, "json") {
				return
			}
			for line := range strings.Lines(narrow) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !strings.HasPrefix(line, "zstats: ") {
					t.Errorf("a line has %d characters: %s", n, line)
				}
			}
		})
	}
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "reading", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestReadingExitCodes(t *testing.T) {
	files := "--files=" + readingFiles(t)
	for _, c := range []struct {
		command *cobra.Command
		args    []string
		code    int // -1: a plain error, which is 1
		says    string
	}{
		{lsCommand(), []string{}, 0, ""},
		{lsCommand(), []string{"--limit", "-1"}, 2, "--limit is -1"},
		{lsCommand(), []string{"--since", "tomorrow"}, 2, `--since "tomorrow": want how long ago`},
		{lsCommand(), []string{"--since", "1h", "--until", "2h"}, 2, "is later than --until"},
		{lsCommand(), []string{"nosuch"}, -1, `account or target "nosuch" not found`},
		{lsCommand(), []string{"--files", "/nowhere/at/all"}, -1, "it does not exist; name another with --data-dir DIR or --files DIR"},
		{lsCommand(), []string{"--files", "files_test.go"}, -1, "it is no directory"},
		{catCommand(), []string{"@us/10.0.0.1:9100.node"}, 0, ""},
		{catCommand(), []string{"@us/10.0.0.1:9100.node", "--at", "soon"}, 2, "--at"},
		{catCommand(), []string{"nosuch"}, -1, "not found"},
		{diffCommand(), []string{"@us/10.0.0.1:9100.node"}, 0, ""},
		{diffCommand(), []string{"acme/10.0.0.1:9100.node"}, 1, ""},
		{diffCommand(), []string{"acme/10.0.0.1:9100.node", "--to", "x"}, 2, "--to"},
		{diffCommand(), []string{"nosuch"}, 2, "not found"},
	} {
		c.command.SetArgs(append([]string{files}, c.args...))
		c.command.SetOut(io.Discard)
		c.command.SetErr(io.Discard)
		c.command.SilenceErrors, c.command.SilenceUsage = true, true
		err := c.command.ExecuteContext(t.Context())
		var exit *exitError
		code := 0
		switch {
		case errors.As(err, &exit):
			code = exit.code
		case isUsage(err):
			code = 2
		case err != nil:
			code = -1
		}
		if code != c.code || c.says != "" && !strings.Contains(err.Error(), c.says) || c.says == "" && err != nil && err.Error() != "" {
			t.Errorf("%s %q: code %d, %v; want %d and %q", c.command.Name(), c.args, code, err, c.code, c.says)
		}
	}
}

func TestReadingCompletes(t *testing.T) {
	files := "--files=" + readingFiles(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"ls", files, ""}, []string{"a-rather-long-account-of-somebody", "acme"}},
		{[]string{"ls", files, "acm"}, []string{"acme"}},
		{[]string{"ls", files, "acme/@"}, []string{"acme/@eu-west-1/ip-10-122-33-144.eu-west-1.compute.internal:9100.node_exporter", "acme/@us/10.0.0.1:9100.node"}},
		{[]string{"cat", files, "10"}, []string{"10.0.0.1:9100.node"}},
		{[]string{"diff", files, "--account", "acme", "@u"}, []string{"@us/10.0.0.1:9100.node"}},
		{[]string{"diff", files, "acme/@u"}, []string{"acme/@us/10.0.0.1:9100.node"}},
		{[]string{"cat", files, "--account", "ac"}, []string{"acme"}},
		{[]string{"cat", files, "one", "10"}, nil},
		{[]string{"cat", "--files=/nowhere/at/all", ""}, nil},
	} {
		root := rootCommand()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, c.args...))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
		got := strings.Fields(out.String())
		want := append(slices.Clone(c.want), ":4") // no names of files
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.args, diff)
		}
	}
}

// TestLsReadsLittle lists a target of which only the last scrapes can be read at all.
func TestLsReadsLittle(t *testing.T) {
	dir := readingFiles(t)
	target := scrape.Target{Account: "acme", Name: "many"}
	const many = 2_000
	for epoch := range int64(many) {
		if err := os.MkdirAll(filepath.Join(dir, archive.ScrapePaths(target, 1_000_000+epoch).Dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	archivetest.Write(t, dir, target, 2_000_000, "up 1\n")
	f := lsFlags{filesFlags: filesFlags{files: dir}, limit: 1}
	got := show(t, 80, func(d *display) error { return f.run(d, "many", readingNow()) })
	if !strings.HasPrefix(got, "2000 older not shown") || !strings.Contains(got, "1970-01-01 01:00:02.000000") {
		t.Errorf("got\n%s", got)
	}
	f = lsFlags{filesFlags: filesFlags{files: dir}, json: true}
	got = show(t, 80, func(d *display) error { return f.run(d, "acme", readingNow()) })
	if !strings.Contains(got, fmt.Sprintf(`"target":"many","scrapes":%d,`, many+1)) {
		t.Errorf("%d scrapes are not counted in\n%s", many+1, got)
	}
}

// TestLsOlderFiles lists a scrape of the older server, whose metadata says less.
func TestLsOlderFiles(t *testing.T) {
	dir := t.TempDir()
	target := scrape.Target{Account: "acme", Name: "h:1.j"}
	archivetest.Write(t, dir, target, 1_000_000, "up 1\n")
	archivetest.Write(t, dir, target, 2_000_000, "up 1\n")
	older := `{"account":"acme","type":"prometheus","iid":"h:1.j","is_compressed":true,"kvs":null,"dts":999,"olabels":null}`
	if err := os.WriteFile(filepath.Join(dir, archive.ScrapePaths(target, 1_000_000).Metadata), []byte(older), 0o644); err != nil {
		t.Fatal(err)
	}
	f := lsFlags{filesFlags: filesFlags{files: dir}, limit: lsLimit}
	got := show(t, 80, func(d *display) error { return f.run(d, "h:1.j", readingNow()) })
	want := `
TIME                        GENERATION  SAMPLES  INFERRED   SIZE
1970-01-01 01:00:01.000000           -        -         -  199 B
1970-01-01 01:00:02.000000     2000000        1         0  412 B
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.json, f.limit = true, 0
	got = show(t, 80, func(d *display) error { return f.run(d, "h:1.j", readingNow()) })
	if first, _, _ := strings.Cut(got, "\n"); strings.Contains(first, "generation") || strings.Contains(first, "received_us") || !strings.Contains(first, `"default_timestamp_ms":999,"data_bytes":`) {
		t.Errorf("as JSON: %s", first)
	}
}
