package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// TestRetention runs two writers that remove old files on one directory, and kills the one that does so.
func TestRetention(t *testing.T) {
	t.Parallel() // most of it is waiting
	s := newSite(t)
	data := t.TempDir()
	addrs := freeAddrs(t, 2)
	old := []string{
		"--data-dir", data, "--retention.account", account + ":age=1s", "--retention.grace", "0s", "--retention.interval", "50ms",
	}
	s.run("ingest", "--ingest.addr", addrs[0], "--account", account+":"+token)
	s.run("assembler")
	s.run("notifier", "--notifier.addr", addrs[1])
	writers := []*harness.Service{s.run("writer", old...)}
	eventually.Succeeds(t, "the first writer removes", func() error { return says(t, writers[0], "zstats_retention_active 1") })
	writers = append(writers, s.run("writer", old...))

	w := wire{t, addrs[0], checker.NewBook()}
	files := filepath.Join(data, "files")
	var all []*sentScrape
	ship := func(round int) {
		for target := range 4 {
			some := newWireTarget(fmt.Sprintf("t%d:%d.j", target, round), uint64(target)).scrapes(6)
			w.want("ship", w.send(some, smallests(some)), zeros(6))
			all = append(all, some...)
		}
	}
	// Of each target all go but the newest scrape, once everything is notified.
	onlyNewest := func() error {
		if n := len(readEvents(t, addrs[1])); n != len(all) {
			return fmt.Errorf("%d events, want %d", n, len(all))
		}
		left := make(map[string]int64)
		n := 0
		for _, s := range checker.Tree(os.DirFS(files)) {
			if s.Err != nil {
				t.Errorf("%s: %v", s.Path, s.Err)
			}
			n++
			left[s.Target.Name] = s.Generation
		}
		if n > len(left) {
			return fmt.Errorf("%d scrapes of %d targets are left", n, len(left))
		}
		for _, s := range all {
			if left[s.target] < s.truth.Generation {
				t.Errorf("the newest scrape of %s is gone", s.target)
			}
		}
		return nil
	}
	ship(0)
	eventually.Succeeds(t, "old scrapes are removed", onlyNewest)
	if err := says(t, writers[0], `zstats_retention_removed_scrapes_total{account="acme",reason="age"} 20`); err != nil {
		t.Error(err)
	}

	ship(1)
	writers[0].Kill() // in the middle of whatever it does
	eventually.Succeeds(t, "the second writer goes on", onlyNewest)
	if err := says(t, writers[1], "zstats_retention_active 1"); err != nil {
		t.Error(err)
	}
	// What is sent again was written before, whether its files are there or not.
	w.want("again", w.send(all[:6], fulls(all[:6])), zeros(6))
	ship(2)
	if err := writers[0].Restart(); err != nil {
		t.Fatal(err)
	}
	if err := writers[0].WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.Succeeds(t, "nothing comes back", onlyNewest)
	for _, writer := range writers {
		if err := writer.Stop(10 * time.Second); err != nil {
			t.Errorf("stop: %v\n%s", err, writer.Output())
		}
	}
	if left, err := os.ReadDir(filepath.Join(files, archive.TempDir)); err != nil || len(left) > 0 {
		t.Errorf("temporary files: %v, %v", left, err)
	}
	checkCommand(t, 1, "not written", "--files", files, "--nats-url", s.nats.URL())
	checkCommand(t, 0, "60 removed by retention", "--files", files, "--nats-url", s.nats.URL(), "--retention")
}

// measured is a process that exports metrics.
type measured interface {
	Metrics(context.Context) (string, error)
}

// says reports whether the metrics of a process have a line.
func says(t *testing.T, s measured, line string) error {
	t.Helper()
	text, err := s.Metrics(t.Context())
	if err != nil {
		return err
	}
	if !strings.Contains(text, "\n"+line+"\n") {
		return errors.New("no " + line)
	}
	return nil
}

// checkCommand runs zstats check and compares its exit code and a part of what it says.
func checkCommand(t *testing.T, want int, says string, args ...string) {
	t.Helper()
	p, err := harness.Start(zstatsBinary, append([]string{"check"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, p, p.Wait(time.Minute)); code != want || !strings.Contains(p.Output(), says) {
		t.Errorf("check %v: exit code %d, want %d and %q in\n%s", args, code, want, says, p.Output())
	}
}
