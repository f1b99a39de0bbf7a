package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/freeaddr"
	"github.com/zstats/zstats/test/harness"
)

// site is a NATS server, and services on it that are processes of their own.
type site struct {
	t    *testing.T
	nats *harness.NATS
}

func newSite(t *testing.T) site {
	t.Helper()
	nats, err := harness.StartNATS(t.Context(), natsBinary, t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Kill)
	return site{t, nats}
}

// start runs a service, which may not be ready yet.
func (s site) start(subcommand string, args ...string) *harness.Service {
	s.t.Helper()
	p, err := harness.StartService(zstatsBinary, subcommand, append([]string{"--nats-url", s.nats.URL()}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Kill() }) // it may be another process by then
	return p
}

// ready waits until services are.
func (s site) ready(services ...*harness.Service) {
	s.t.Helper()
	for _, p := range services {
		if err := p.WaitReady(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run runs a service and waits until it is ready.
func (s site) run(subcommand string, args ...string) *harness.Service {
	s.t.Helper()
	p := s.start(subcommand, args...)
	s.ready(p)
	return p
}

// freeAddrs returns addresses for services.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	addrs, err := freeaddr.Loopback(n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// TestServicesAlone runs each service as a process of its own, two of each, on an external NATS server. A collector alternates
// between the two ingests, requests are repeated at the other one, and one worker of each stage is killed in the middle.
func TestServicesAlone(t *testing.T) {
	t.Parallel() // most of it is waiting
	s := newSite(t)
	data := t.TempDir()
	addrs := freeAddrs(t, 4)
	var services []*harness.Service
	for i := range 2 {
		services = append(services,
			s.start("ingest", "--ingest.addr", addrs[i], "--account", account+":"+token),
			s.start("assembler"),
			s.start("writer", "--data-dir", data),
			s.start("notifier", "--notifier.addr", addrs[2+i]),
		)
	}
	s.ready(services...)

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
	eventually.Succeeds(t, "all is written", func() error {
		run.Written = checker.Tree(os.DirFS(files))
		for _, f := range checker.Compare(run).Findings {
			if f.Kind == checker.Lost {
				return errors.New(f.String())
			}
		}
		return nil
	})
	eventually.Succeeds(t, "all is notified", func() error {
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
