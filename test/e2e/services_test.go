package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/freeaddr"
	"github.com/zstats/zstats/test/harness"
)

// TestServicesAlone runs each service as a process of its own, two of each, on an external NATS server. A collector alternates
// between the two ingests, requests are repeated at the other one, and one worker of each stage is killed in the middle.
func TestServicesAlone(t *testing.T) {
	nats, err := harness.StartNATS(t.Context(), natsBinary, t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Kill)
	data := t.TempDir()
	addrs, err := freeaddr.Loopback(4)
	if err != nil {
		t.Fatal(err)
	}
	start := func(subcommand string, args ...string) *harness.Service {
		t.Helper()
		s, err := harness.StartService(zstatsBinary, subcommand, append([]string{"--nats-url", nats.URL()}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Kill() })
		return s
	}
	var services []*harness.Service
	for i := range 2 {
		services = append(services,
			start("ingest", "--ingest.addr", addrs[i], "--account", account+":"+token),
			start("assembler"),
			start("writer", "--data-dir", data),
			start("notifier", "--notifier.addr", addrs[2+i]),
		)
	}
	for _, s := range services {
		if err := s.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	book := checker.NewBook()
	ingests := []wire{{t, addrs[0], book}, {t, addrs[1], book}}
	for target := range 8 {
		all := newWireTarget(string(rune('a'+target))+":1.j", uint64(target)).scrapes(24)
		for i := 0; i < len(all); i += 3 {
			part := all[i : i+3]
			first, second := ingests[(target+i)%2], ingests[(target+i+1)%2]
			first.want("first", first.send(part, smallests(part)), zeros(3))
			second.want("again at the other one", second.send(part, smallests(part)), zeros(3))
			if target == 4 && i == 12 {
				services[1].Kill() // an assembler
				services[2].Kill() // a writer
			}
		}
	}
	for _, notifier := range addrs[2:] {
		judgeFiles(t, filepath.Join(data, "files"), notifier, book)
	}
	for i, s := range services {
		if i == 1 || i == 2 {
			continue
		}
		if err := s.Stop(10 * time.Second); err != nil {
			t.Errorf("stop of service %d: %v\n%s", i, err, s.Output())
		}
	}
}

// judgeFiles waits until all that was acknowledged is on disk and notified, and has the checker compare everything.
func judgeFiles(t *testing.T, files, notifier string, book *checker.Book) {
	t.Helper()
	run := checker.Run{Sent: book.All()}
	waitFor(t, "all is written", func() error {
		run.Written = checker.Tree(os.DirFS(files))
		for _, f := range checker.Compare(run).Findings {
			if f.Kind == checker.Lost {
				return errors.New(f.String())
			}
		}
		return nil
	})
	waitFor(t, "all is notified", func() error {
		run.Notified = readEvents(t, notifier)
		if len(run.Notified) < len(run.Written) {
			return errors.New("not yet")
		}
		return nil
	})
	report := checker.Compare(run)
	t.Log(report)
	if !report.OK() {
		t.Error("the checker found faults")
	}
}
