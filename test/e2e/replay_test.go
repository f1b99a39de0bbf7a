package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/harness"
)

// replayed runs `zstats replay` to its end and returns what it said and its exit code.
func replayed(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	p, err := harness.Start(zstatsBinary, append([]string{"replay"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait(patience)
	return p.Output(), exitCode(t, p, err)
}

// exitCode is -1 for a process that was killed.
func exitCode(t *testing.T, p *harness.Process, err error) int {
	t.Helper()
	var exit interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatalf("%v\n%s", err, p.Output())
	return 0
}

func mustReplay(t *testing.T, args ...string) string {
	t.Helper()
	output, code := replayed(t, args...)
	if code != 0 {
		t.Fatalf("replay %s: exit code %d\n%s", strings.Join(args, " "), code, output)
	}
	return output
}

// scrapeFiles returns the contents of all files of scrapes below a directory.
func scrapeFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	root := os.DirFS(dir)
	for place, err := range archive.Scrapes(root) {
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{place.Data, place.Metadata} {
			data, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(data)
		}
	}
	return files
}

// sameFiles checks that all files of got are in want, to the last byte, and if all is set the other way round too.
func sameFiles(t *testing.T, what string, want, got map[string]string, all bool) {
	t.Helper()
	if len(got) == 0 || all && len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] != got[name] {
			t.Fatalf("%s: %s is not what the live run gave", what, name)
		}
	}
}

// crowd is some targets, each with a second collector that uses its name.
type crowd struct{ targets, rivals []*wireTarget }

func newCrowd(n int) *crowd {
	c := &crowd{}
	for i := range n {
		c.targets = append(c.targets, newWireTarget(fmt.Sprintf("crowd-%d:1.j", i), uint64(i)))
		rival := newWireTarget(c.targets[i].name, uint64(1000+i))
		rival.generation += 500_000_000_000
		c.rivals = append(c.rivals, rival)
	}
	return c
}

// send sends rounds of scrapes of all targets in all ways that the log must bear: repetitions in either form, gaps, runs that begin
// anew, a buffer from before, and two collectors with one name. It ends early when stop is closed.
func (c *crowd) send(w wire, rounds int, stop <-chan struct{}) {
	var running sync.WaitGroup
	for i := range c.targets {
		running.Go(func() {
			for round := range rounds {
				select {
				case <-stop:
					return
				default:
					c.round(w, i, round)
				}
			}
		})
	}
	running.Wait()
}

func (c *crowd) round(w wire, i, round int) {
	target := c.targets[i]
	all := target.scrapes(4)
	c.ship(w, all)
	switch (round + i) % 6 {
	case 1:
		w.send(all, smallests(all))
	case 2:
		w.send(all, fulls(all))
	case 3:
		target.scrapes(2) // never sent
	case 4:
		target.restart()
		c.ship(w, target.scrapes(1))
		c.ship(w, all)
	case 5:
		c.ship(w, c.rivals[i].scrapes(2))
	}
}

// ship sends scrapes as a collector does: in full if that is asked for.
func (c *crowd) ship(w wire, all []*sentScrape) {
	if slices.Contains(w.send(all, smallests(all)), zstatsv1.CodeSendFull) {
		w.send(all, fulls(all))
	}
}

// TestReplay makes the files again from the logs of a run with real load, resends, restarts and resyncs.
func TestReplay(t *testing.T) {
	args := []string{"--account", account + ":" + token, "--collect-self=false"}
	z := startZstats(t)
	w := wire{t, z.IngestAddr, checker.NewBook()}
	c := newCrowd(12)
	c.send(w, 20, nil)
	z.Kill()
	if err := z.Restart(t.Context(), zstatsBinary, args...); err != nil {
		t.Fatal(err)
	}
	c.send(w, 10, nil)
	middle := time.Now().UnixMicro()

	stopLoad, loaded := make(chan struct{}), make(chan struct{})
	go func() { defer close(loaded); c.send(w, 1000, stopLoad) }()
	beside := make(map[string]map[string]string)
	for _, from := range []string{"raw", "scrapes"} {
		to := t.TempDir()
		mustReplay(t, "--data-dir", z.Dir, "--from", from, "--to", to)
		beside[from] = scrapeFiles(t, to)
		output, code := replayed(t, "--data-dir", z.Dir, "--from", from, "--until", fmt.Sprint(middle), "--verify", z.Files())
		if code != 0 {
			t.Errorf("verify from %s beside the live run: exit code %d\n%s", from, code, output)
		}
	}
	close(stopLoad)
	<-loaded
	judge(t, z, w.book)
	if err := z.Stop(10 * time.Second); err != nil {
		t.Errorf("stop: %v\n%s", err, z.Output())
	}
	live := scrapeFiles(t, z.Files())
	for _, from := range []string{"raw", "scrapes"} {
		sameFiles(t, "beside the live run, from "+from, live, beside[from], false)
		to := t.TempDir()
		mustReplay(t, "--data-dir", z.Dir, "--from", from, "--to", to)
		sameFiles(t, "from "+from, live, scrapeFiles(t, to), true)
		if output, code := replayed(t, "--data-dir", z.Dir, "--from", from, "--verify", z.Files()); code != 0 {
			t.Errorf("verify from %s: exit code %d\n%s", from, code, output)
		}
		since := t.TempDir()
		mustReplay(t, "--data-dir", z.Dir, "--from", from, "--since", fmt.Sprint(middle), "--to", since)
		part := make(map[string]string)
		for name, content := range live {
			if epoch := strings.Split(name, "/")[2]; epoch >= fmt.Sprint(middle) { // all have the same number of digits
				part[name] = content
			}
		}
		sameFiles(t, "since, from "+from, part, scrapeFiles(t, since), true)
	}
	t.Run("killed and interrupted", func(t *testing.T) { killReplays(t, z, live) })
	t.Run("differences", func(t *testing.T) { plantDifferences(t, z, live) })
	t.Run("usage", func(t *testing.T) { misuseReplay(t, z) })
}

// killReplays ends replays in the middle and goes on.
func killReplays(t *testing.T, z *harness.Zstats, live map[string]string) {
	inTheMiddle := 0
	for _, from := range []string{"raw", "scrapes"} {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
			to := t.TempDir()
			line := []string{"--data-dir", z.Dir, "--from", from, "--to", to, "--cpus", "1"}
			ended := endInTheMiddle(t, to, signal, line)
			if ended != "" || signal == syscall.SIGKILL && !strings.Contains(journalOf(t, to), `"done": true`) {
				inTheMiddle++
			}
			if signal == syscall.SIGINT && ended != "" && !strings.Contains(ended, "to go on:") {
				t.Errorf("it does not say how to go on:\n%s", ended)
			}
			mustReplay(t, line...)
			sameFiles(t, "from "+from+", after "+signal.String(), live, scrapeFiles(t, to), true)
		}
	}
	if inTheMiddle == 0 {
		t.Error("all replays were finished before they could be ended")
	}
}

// journalOf returns the checkpoint of a replay.
func journalOf(t *testing.T, to string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(to, ".replay", "checkpoint.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// endInTheMiddle starts a replay and sends it a signal when its first files are there. It returns what it said, nothing if it was
// finished before.
func endInTheMiddle(t *testing.T, to string, signal syscall.Signal, line []string) string {
	t.Helper()
	p, err := harness.Start(zstatsBinary, append([]string{"replay"}, line...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if found, _ := filepath.Glob(filepath.Join(to, account, "*", "*")); len(found) > 0 {
			break
		}
	}
	if err := p.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if exitCode(t, p, p.Wait(patience)) == 0 {
		return ""
	}
	return p.Output()
}

// plantDifferences changes a copy of the files in each way that verify must find.
func plantDifferences(t *testing.T, z *harness.Zstats, live map[string]string) {
	dir := t.TempDir()
	mustReplay(t, "--data-dir", z.Dir, "--from", "scrapes", "--to", dir)
	names := slices.Sorted(maps.Keys(live))
	scrapes := make([]string, 0, len(names)/2)
	for _, name := range names {
		if strings.HasSuffix(name, ".json") {
			scrapes = append(scrapes, name)
		}
	}
	read := func(name string) string { return live[name] }
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data := func(name string) string { return strings.TrimSuffix(name, ".json") + ".data.gz" }
	if err := os.RemoveAll(filepath.Dir(filepath.Join(dir, scrapes[0]))); err != nil { // missing
		t.Fatal(err)
	}
	write(data(scrapes[1]), read(data(scrapes[2])))                                                                 // text
	write(scrapes[3], strings.Replace(read(scrapes[3]), `"inferred":0`, `"inferred":9`, 1))                         // metadata
	write(data(scrapes[4]), "no gzip")                                                                              // damaged
	write(filepath.Join(filepath.Dir(filepath.Dir(scrapes[5])), "1795333095000001", "1795333095000001.json"), "{}") // extra
	for _, from := range []string{"raw", "scrapes"} {
		output, code := replayed(t, "--data-dir", z.Dir, "--from", from, "--verify", dir, "--json")
		if code != 1 {
			t.Errorf("exit code %d, want 1\n%s", code, output)
		}
		found := make(map[string]int)
		for line := range strings.Lines(output) {
			var d struct{ Difference string }
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			found[d.Difference]++
		}
		for _, kind := range []string{"missing", "extra", "text", "metadata", "damaged"} {
			if found[kind] != 1 {
				t.Errorf("from %s: %d differences are %s, want 1\n%s", from, found[kind], kind, output)
			}
		}
	}
	output, code := replayed(t, "--data-dir", z.Dir, "--from", "raw", "--to", dir)
	if code != 0 || !strings.Contains(output, "written") { // another source: another replay
		if !strings.Contains(output, "holds files already") {
			t.Errorf("exit code %d, it says %q", code, output)
		}
	}
	mustReplay(t, "--data-dir", z.Dir, "--from", "raw", "--to", dir, "--overwrite")
	if output, code := replayed(t, "--data-dir", z.Dir, "--from", "raw", "--verify", dir); code != 1 || !strings.Contains(output, "1 extra") {
		t.Errorf("overwritten: exit code %d, want 1 for the scrape that is too many\n%s", code, output)
	}
}

func misuseReplay(t *testing.T, z *harness.Zstats) {
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--from", "raw", "--to", z.Files()}, 1, "holds files already"},
		{[]string{"--from", "raw"}, 2, "give --to DIR"},
		{[]string{"--to", t.TempDir()}, 2, `"from"`},
		{[]string{"--from", "events", "--to", t.TempDir()}, 2, "raw or scrapes"},
		{[]string{"--from", "raw", "--to", t.TempDir(), "--since", "yesterday"}, 2, "--since"},
		{[]string{"--from", "raw", "--to", t.TempDir(), "--since", "1h", "--until", "2h"}, 2, "after --until"},
		{[]string{"--from", "raw", "--to", t.TempDir(), "--target", `a\`}, 2, "--target"},
		{[]string{"--from", "raw", "--to", t.TempDir(), "--cpus", "-1"}, 2, "--cpus"},
	}
	for _, tt := range tests {
		output, code := replayed(t, append([]string{"--data-dir", z.Dir}, tt.args...)...)
		if code != tt.code || !strings.Contains(output, tt.says) {
			t.Errorf("%v: exit code %d, want %d, and it says %q, want %q", tt.args, code, tt.code, output, tt.says)
		}
	}
	if output, code := replayed(t, "--data-dir", t.TempDir(), "--from", "raw", "--to", t.TempDir()); code != 1 || !strings.Contains(output, "no log in") {
		t.Errorf("without a log: exit code %d, it says %q", code, output)
	}
}
