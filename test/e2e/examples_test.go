package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/corpus"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

const (
	positionName = "books"
	pythonDir    = "../../examples/python"
)

// example is the command of an example of a consumer.
type example []string

// examples returns those of examples/ that can run here.
func examples(t *testing.T) map[string]example {
	t.Helper()
	binary, err := harness.Build(t.Context(), t.TempDir(), "../../examples/go/consume")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]example{"go": {binary}}
	if python := findPython(); python != "" {
		all["python"] = example{python, filepath.Join(pythonDir, "consume.py")}
	}
	return all
}

// findPython returns a Python that has what the example needs, or nothing.
func findPython() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	return ""
}

const noPython = "no python3 here has grpc and protobuf (Debian: python3-grpcio, python3-protobuf)"

// books is a zstats, a journal, and consumers that keep it.
type books struct {
	t       *testing.T
	z       *harness.Zstats
	journal string
}

func newBooks(t *testing.T) *books {
	t.Helper()
	return &books{t, startZstats(t), filepath.Join(t.TempDir(), "journal.jsonl")}
}

// start runs an example as a member of the position.
func (b *books) start(e example, args ...string) *harness.Process {
	b.t.Helper()
	all := append(e[1:len(e):len(e)], "--notifier", b.z.NotifierAddr, "--name", positionName, "--from-start",
		"--files", b.z.Files(), "--journal", b.journal)
	p, err := harness.StartIn([]string{"PYTHONDONTWRITEBYTECODE=1"}, e[0], append(all, args...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		p.Kill()
		if b.t.Failed() {
			b.t.Logf("a consumer said:\n%s", p.Output())
		}
	})
	return p
}

// stop has a consumer end by itself.
func (b *books) stop(p *harness.Process) {
	b.t.Helper()
	if err := p.Stop(20 * time.Second); err != nil {
		b.t.Errorf("stop: %v\n%s", err, p.Output())
	}
}

// ends waits until a consumer ends by itself with an error that has a text in it.
func (b *books) ends(p *harness.Process, text string) {
	b.t.Helper()
	if err := p.Wait(patience); err == nil || p.Killed() || !strings.Contains(p.Output(), text) {
		b.t.Errorf("it ends with %v, and not by itself with %q:\n%s", err, text, p.Output())
	}
}

// entry is a line of the journal.
type entry struct {
	Account, Source, Target, Value, By string
	Epoch                              int64
	Samples                            int
	Missing                            bool
}

// entries returns the whole lines of the journal.
func (b *books) entries() (all []entry) {
	b.t.Helper()
	data, err := os.ReadFile(b.journal)
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			b.t.Fatalf("line %d of the journal, %q: %v", len(all)+1, line, err)
		}
		all = append(all, e)
	}
	return all
}

// waitEntries waits until the journal has n lines, or more.
func (b *books) waitEntries(n int) {
	b.t.Helper()
	eventually.Succeeds(b.t, fmt.Sprintf("%d scrapes are journaled", n), func() error {
		if have := len(b.entries()); have < n {
			return fmt.Errorf("%d are", have)
		}
		return nil
	})
}

// position returns what the notifier says of a position, nil if there is none.
func (b *books) position(name string) *eventpb.Position {
	b.t.Helper()
	conn, err := grpc.NewClient(b.z.NotifierAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	list, err := eventpb.NewNotifierClient(conn).ListPositions(b.t.Context(), &eventpb.ListPositionsRequest{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range list.GetPositions() {
		if p.GetName() == name {
			return p
		}
	}
	return nil
}

// waitPosition waits until ok says yes to the position.
func (b *books) waitPosition(what, name string, ok func(*eventpb.Position) bool) {
	b.t.Helper()
	eventually.Succeeds(b.t, what, func() error {
		if p := b.position(name); p == nil || !ok(p) {
			return fmt.Errorf("it is %v", p)
		}
		return nil
	})
}

// waiting reports whether a member waits for events.
func waiting(p *eventpb.Position) bool { return p.GetWaiting() > 0 }

// settled reports whether all is acknowledged.
func settled(p *eventpb.Position) bool { return p.GetPending() == 0 && p.GetUnacked() == 0 }

// send sends the next n scrapes of a target.
func (b *books) send(w *wireTarget, n int) {
	b.t.Helper()
	some := w.scrapes(n)
	wire := wire{b.t, b.z.IngestAddr, checker.NewBook()}
	wire.want("send", wire.send(some, smallests(some)), zeros(n))
}

// ship sends a few recorded scrapes of real targets, and returns how many.
func (b *books) ship() (n int) {
	b.t.Helper()
	for job, read := range map[string]func() ([]corpus.Exposition, error){
		"node": corpus.Node, "prometheus": corpus.Prometheus, "churn": corpus.Churn,
	} {
		some, err := read()
		if err != nil {
			b.t.Fatal(err)
		}
		some = some[:3]
		target := replayedTarget(b.t, some)
		startCollector(b.t, b.z, scrapeEvery, job+"="+target.server.URL+"/metrics")
		n += len(some)
	}
	return n
}

// check compares the journal with the files: every scrape is there, once, and was read right.
func (b *books) check() {
	b.t.Helper()
	seen := make(map[string]int) // by the scrape's directory
	for _, e := range b.entries() {
		dir := archive.ScrapePaths(scrape.Target{Account: e.Account, Source: e.Source, Name: e.Target}, e.Epoch).Dir
		seen[dir]++
		b.checkRead(dir, e)
	}
	for place, err := range archive.Scrapes(os.DirFS(b.z.Files())) {
		if err != nil {
			b.t.Fatal(err)
		}
		if n := seen[place.Dir]; n != 1 {
			b.t.Errorf("%s is %d times in the journal", place.Dir, n)
		}
	}
}

// checkRead compares what a consumer has read with what is in the files.
func (b *books) checkRead(dir string, e entry) {
	b.t.Helper()
	_, samples, err := archive.Read(os.DirFS(b.z.Files()), dir)
	if err != nil {
		b.t.Fatal(err)
	}
	want := ""
	for _, s := range samples {
		for _, l := range s.Labels {
			if l.Name == scrape.MetricName && l.Value == "go_goroutines" {
				want = fmt.Sprint(s.Value)
			}
		}
	}
	if got := strings.TrimSuffix(e.Value, ".0"); e.Samples != len(samples) || got != want || e.Missing {
		b.t.Errorf("%s: %+v is journaled, want %d samples and the value %q", dir, e, len(samples), want)
	}
}

// TestExamplesOnce follows each example through what may happen to a consumer. Whatever does, each scrape is done once.
func TestExamplesOnce(t *testing.T) {
	all := examples(t)
	for _, name := range []string{"go", "python"} {
		t.Run(name, func(t *testing.T) {
			if all[name] == nil {
				t.Skip(noPython)
			}
			testOnce(t, all[name])
		})
	}
}

func testOnce(t *testing.T, e example) {
	b := newBooks(t)

	// All is journaled, no acknowledgement arrives, and the consumer is killed.
	cut := newOneWay(t, b.z.NotifierAddr)
	c := b.start(e, "--notifier", cut.addr())
	b.waitPosition("a member waits", positionName, waiting)
	cut.cut.Store(true)
	n := b.ship()
	b.waitEntries(n)
	c.Kill()
	if p := b.position(positionName); p.GetAckedSequence() != 0 {
		t.Errorf("something was acknowledged, this test is of no use: %v", p)
	}
	c = b.start(e)
	b.waitPosition("what comes again is acknowledged", positionName, settled)
	b.check()

	// The notifier goes away for a while.
	w := newWireTarget("w:1.j", 1)
	if err := b.z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := b.z.Restart(t.Context(), zstatsBinary, "--account", account+":"+token, "--collect-self=false"); err != nil {
		t.Fatal(err)
	}
	b.send(w, 5)
	n += 5
	b.waitEntries(n)

	// It is asked to stop: what it has acknowledged arrives before it ends.
	b.stop(c)
	if p := b.position(positionName); !settled(p) {
		t.Errorf("after a stop the position is %v", p)
	}

	// It died while it wrote a line.
	f, err := os.OpenFile(b.journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"account":"acme","sou`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	c = b.start(e)
	b.send(w, 5)
	n += 5
	b.waitEntries(n)
	b.stop(c)

	// Another position brings all of it again, under whichever sequences.
	c = b.start(e, "--name", "again")
	b.waitPosition("the other position is at the end", "again", func(p *eventpb.Position) bool {
		return settled(p) && p.GetAckedSequence() >= uint64(n)
	})
	b.stop(c)
	b.check()
}

// TestExamplesShare has both examples share a position and a journal, while they are killed in turn.
func TestExamplesShare(t *testing.T) {
	all := examples(t)
	if all["python"] == nil {
		t.Skip(noPython)
	}
	b := newBooks(t)
	names := []string{"go", "python"}
	var members []*harness.Process
	for _, name := range names {
		members = append(members, b.start(all[name], "--max-in-flight", "2"))
	}
	var targets []*wireTarget
	for i := range 4 {
		targets = append(targets, newWireTarget(fmt.Sprintf("t%d:1.j", i), uint64(i)))
	}
	n := 0
	wave := func() {
		for _, w := range targets {
			b.send(w, 10)
			n += 10
		}
	}
	for i := range 6 {
		before := n
		wave()
		b.waitEntries(before + 10)
		members[i%2].Kill()
		members[i%2] = b.start(all[names[i%2]], "--max-in-flight", "2")
	}
	eventually.Succeeds(t, "both have work", func() error {
		wave()
		b.waitEntries(n)
		for _, m := range members {
			if by := fmt.Sprint("-", m.PID()); !strings.Contains(fmt.Sprint(b.entries()), by) {
				return fmt.Errorf("%s has none", by)
			}
		}
		return nil
	})
	b.waitPosition("all is acknowledged", positionName, settled)
	for _, m := range members {
		b.stop(m)
	}
	b.check()
}

// TestExamplesGap takes events away that a position has not acknowledged.
func TestExamplesGap(t *testing.T) {
	for name, e := range examples(t) {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			c := b.start(e)
			b.waitPosition("a member waits", positionName, waiting)
			b.stop(c)
			b.send(newWireTarget("w:1.j", 1), 3)
			b.waitPosition("all is written", positionName, func(p *eventpb.Position) bool { return p.GetPending() == 3 })
			if err := b.z.Stop(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			short := []string{"--account", account + ":" + token, "--collect-self=false", "--events.age", "1ms", "--events.unacknowledged-age", "1ms"}
			if err := b.z.Restart(t.Context(), zstatsBinary, short...); err != nil {
				t.Fatal(err)
			}
			hasGap := func(p *eventpb.Position) bool { return p.GetGap() != nil }
			b.waitPosition("there is a gap", positionName, hasGap)
			last := b.position(positionName).GetGap().GetLastSequence()
			c = b.start(e)
			b.waitPosition("the gap is acknowledged", positionName, func(p *eventpb.Position) bool { return !hasGap(p) })
			b.stop(c)
			if want := fmt.Sprintf("to %d may be missing", last); !strings.Contains(c.Output(), want) {
				t.Errorf("it has not said %q", want)
			}
		})
	}
}

// TestExampleRefused has consumers end, with a reason, where no other attempt helps.
func TestExampleRefused(t *testing.T) {
	for name, e := range examples(t) {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			c := b.start(e)
			b.waitPosition("a member waits", positionName, waiting)
			other := b.start(e, "--target", "other.*")
			b.ends(other, "selects other events")
			b.stop(c)
			empty := b.start(e, "--name", "lost", "--files", t.TempDir())
			b.send(newWireTarget("w:1.j", 1), 1)
			b.ends(empty, "such file")
			b.waitPosition("nothing is acknowledged", "lost", func(p *eventpb.Position) bool {
				return p.GetAckedSequence() == 0 && p.GetPending()+p.GetUnacked() == 1
			})
			b.stop(b.startAndWait(e, "--name", "lost", "--files", t.TempDir(), "--skip-missing"))
			if all := b.entries(); len(all) != 1 || !all[0].Missing {
				t.Errorf("the journal is %+v", all)
			}
		})
	}
}

// startAndWait runs a member until it has an entry in the journal.
func (b *books) startAndWait(e example, args ...string) *harness.Process {
	b.t.Helper()
	p := b.start(e, args...)
	b.waitEntries(1)
	return p
}
