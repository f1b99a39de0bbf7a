package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/corpus"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/freeaddr"
	"github.com/zstats/zstats/test/harness"
)

// notifierClient runs commands that ask a notifier, as a user would, or look into the log in a data directory.
type notifierClient struct {
	t    *testing.T
	addr string
	env  []string
	dir  string // set: the data directory
}

func (c notifierClient) start(args ...string) *harness.Process {
	c.t.Helper()
	where := []string{"--notifier", c.addr}
	if c.dir != "" {
		where = []string{"--data-dir", c.dir}
	}
	p, err := harness.StartIn(c.env, zstatsBinary, append(args, where...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.Kill)
	return p
}

// run runs a command to its end, which must be a success, and returns what it said.
func (c notifierClient) run(args ...string) string {
	c.t.Helper()
	p := c.start(args...)
	if err := p.Wait(patience); err != nil {
		c.t.Fatalf("zstats %s: %v\n%s", strings.Join(args, " "), err, p.Output())
	}
	return p.Output()
}

// refused runs a command that must fail, and say something.
func (c notifierClient) refused(says string, args ...string) {
	c.t.Helper()
	p := c.start(args...)
	if err := p.Wait(patience); err == nil || !strings.Contains(p.Output(), says) {
		c.t.Errorf("zstats %s: %v, want a failure that says %q\n%s", strings.Join(args, " "), err, says, p.Output())
	}
}

// take shows the next n events of a position.
func (c notifierClient) take(name string, n int) []tailEvent {
	c.t.Helper()
	return shown(c.t, c.run("tail", "--json", "--from-sequence", "0", "--name", name, "--count", fmt.Sprint(n)))
}

// tailEvent is an event as tail --json shows it.
type tailEvent struct {
	Sequence   uint64 `json:"sequence"`
	Account    string `json:"account"`
	Target     string `json:"target"`
	Generation int64  `json:"generation"`
}

// shown returns the events that a tail has shown, whole lines of its output.
func shown(t *testing.T, output string) (all []tailEvent) {
	t.Helper()
	for line := range strings.Lines(output) {
		var e tailEvent
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// generations returns what tells the scrapes of one target apart.
func generations(all []tailEvent) (out []int64) {
	for _, e := range all {
		out = append(out, e.Generation)
	}
	return out
}

// listedPosition is a position as positions ls --json shows it.
type listedPosition struct {
	Name         string `json:"name"`
	OwnerAccount string `json:"owner_account"`
	Target       string `json:"target"`
	Acked        uint64 `json:"acked_sequence"`
	Pending      uint64 `json:"pending"`
	Unacked      uint64 `json:"unacked"`
	Waiting      int    `json:"waiting"`
	OldestUs     int64  `json:"oldest_us"`
}

func (c notifierClient) positions() map[string]listedPosition {
	c.t.Helper()
	all := map[string]listedPosition{}
	for line := range strings.Lines(c.run("positions", "ls", "--json")) {
		var p listedPosition
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			c.t.Fatal(err)
		}
		all[p.Name] = p
	}
	return all
}

// waitUnacked waits until so many events of a position are delivered and not acknowledged.
func (c notifierClient) waitUnacked(name string, n uint64) {
	c.t.Helper()
	eventually.Succeeds(c.t, fmt.Sprintf("%d events of %s are delivered", n, name), func() error {
		if got := c.positions()[name].Unacked; got != n {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
}

// waitMembers waits until so many members of a position wait for events.
func (c notifierClient) waitMembers(name string, n int) {
	c.t.Helper()
	eventually.Succeeds(c.t, fmt.Sprintf("%d members of %s wait", n, name), func() error {
		if got := c.positions()[name].Waiting; got != n {
			return fmt.Errorf("%d do", got)
		}
		return nil
	})
}

// member is a tail of a position that stops in the middle.
func (c notifierClient) member(name string, args ...string) *harness.Process {
	c.t.Helper()
	return c.start(append([]string{"tail", "--json", "--name", name}, args...)...)
}

func waitShown(t *testing.T, p *harness.Process, n int) []tailEvent {
	t.Helper()
	var all []tailEvent
	eventually.Succeeds(t, fmt.Sprintf("%d events are shown", n), func() error {
		if all = shown(t, p.Output()); len(all) < n {
			return fmt.Errorf("%d are\n%s", len(all), p.Output())
		}
		return nil
	})
	return all
}

// ship sends scrapes of a target and returns their generations, which stand for them.
func ship(t *testing.T, ingest string, target *wireTarget, n int) (out []int64) {
	t.Helper()
	w := wire{t, ingest, checker.NewBook()}
	some := target.scrapes(n)
	w.want("ship", w.send(some, smallests(some)), zeros(n))
	for _, s := range some {
		out = append(out, s.truth.Generation)
	}
	return out
}

// TestNamed has tails of a position go on where others ended, over every kind of end.
func TestNamed(t *testing.T) {
	flags := []string{"--account", account + ":" + token, "--collect-self=false"}
	z := startZstats(t)
	c := notifierClient{t: t, addr: z.NotifierAddr}
	target := newWireTarget("a:1.j", 1)
	all := ship(t, z.IngestAddr, target, 8)

	var got []int64
	for range 2 {
		got = append(got, generations(c.take("steps", 2))...)
	}
	if diff := cmp.Diff(all[:4], got); diff != "" {
		t.Errorf("two tails in turn show (-want +got):\n%s", diff)
	}

	t.Run("positions", func(t *testing.T) { namedCommands(t, c) })

	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := z.Restart(t.Context(), zstatsBinary, flags...); err != nil {
		t.Fatal(err)
	}
	if got := generations(c.take("steps", 2)); !slices.Equal(got, all[4:6]) {
		t.Errorf("after a restart it goes on with %d, want %d", got, all[4:6])
	}
	z.Kill()
	if err := z.Restart(t.Context(), zstatsBinary, flags...); err != nil {
		t.Fatal(err)
	}
	rest := all[6:]
	for len(rest) > 0 {
		next := generations(c.take("steps", 1))[0]
		rest = slices.DeleteFunc(slices.Clone(rest), func(g int64) bool { return g == next })
		// What was acknowledged just before the log was killed may come again, what was before the stop may not.
		if !slices.Contains(all[4:], next) {
			t.Fatalf("after the kill %d comes again", next)
		}
	}

	t.Run("a member is killed", func(t *testing.T) {
		c := notifierClient{t: t, addr: z.NotifierAddr}
		m := c.member("killed", "--target", "b:*", "--from-sequence", "0")
		target := newWireTarget("b:1.j", 2)
		before := ship(t, z.IngestAddr, target, 3)
		if got := generations(waitShown(t, m, 3)); !slices.Equal(got, before) {
			t.Errorf("shown %d, want %d", got, before)
		}
		c.waitUnacked("killed", 0)
		if err := m.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		after := ship(t, z.IngestAddr, target, 5)
		c.waitUnacked("killed", 5)
		m.Kill()
		again := c.start("tail", "--json", "--name", "killed", "--target", "b:*", "--count", "5")
		if err := again.Wait(patience); err != nil {
			t.Fatal(err)
		}
		got := generations(shown(t, again.Output()))
		slices.Sort(got)
		if !slices.Equal(got, after) {
			t.Errorf("another member gets %d, want %d", got, after)
		}
		c.waitUnacked("killed", 0)
	})
}

// namedCommands looks at, and removes, positions.
func namedCommands(t *testing.T, c notifierClient) {
	c.t = t
	p := c.positions()["steps"]
	if p.Pending != 4 || p.Unacked != 0 || p.OldestUs == 0 {
		t.Errorf("of 8 events 4 are acknowledged; positions ls: %+v", p)
	}
	if text := c.run("positions", "ls"); !strings.HasPrefix(text, "NAME   SELECTS  PENDING") || !strings.Contains(text, "\nsteps  */*") {
		t.Errorf("positions ls:\n%s", text)
	}
	if text := c.run("positions", "show", "steps"); !strings.Contains(text, "\npending         4 events to be delivered\n") {
		t.Errorf("positions show:\n%s", text)
	}
	c.refused(`there is no position "step"; there are: steps`, "positions", "show", "step")
	c.refused(`the position selects other events`, "tail", "--name", "steps", "--account", "other")

	m := c.member("temporary")
	c.waitMembers("temporary", 1)
	c.refused("stop them first, or give --force", "positions", "rm", "temporary")
	if err := m.Stop(10 * time.Second); err != nil {
		t.Errorf("tail, at SIGTERM: %v\n%s", err, m.Output())
	}
	if text := c.run("positions", "rm", "temporary"); !strings.HasPrefix(text, "position temporary is removed") {
		t.Errorf("positions rm says:\n%s", text)
	}
	c.refused(`there is no position "temporary"`, "positions", "rm", "temporary")
}

// TestNamedTokens has two accounts use one name, and an operator look at the positions of all of them.
func TestNamedTokens(t *testing.T) {
	const otherToken = "other-token"
	z := startZstats(t, "--account", "other:"+otherToken, "--notifier.require-token", "--notifier.push.address", freeaddr.One(t))
	mine := notifierClient{t: t, addr: z.NotifierAddr, env: []string{"ZSTATS_TOKEN=" + token}}
	others := notifierClient{t: t, addr: z.NotifierAddr, env: []string{"ZSTATS_TOKEN=" + otherToken}}
	operator := notifierClient{t: t, dir: z.Dir}
	notifierClient{t: t, addr: z.NotifierAddr}.refused("Give the token of an account with ZSTATS_TOKEN", "positions", "ls")

	want := ship(t, z.IngestAddr, newWireTarget("a:1.j", 1), 2)
	exposed := replayedTarget(t, []corpus.Exposition{{Body: series(3, 1)}, {Body: series(3, 2)}})
	collect, err := harness.Start(zstatsBinary, "collect", "--server", "http://"+z.IngestAddr, "--token", otherToken,
		"--interval", scrapeEvery, "--timeout", scrapeEvery, "--flush", "500ms", "--target", "j="+exposed.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(collect.Kill)

	if got := generations(mine.take("one", 2)); !slices.Equal(got, want) {
		t.Errorf("the one account gets %d, want %d", got, want)
	}
	for _, e := range others.take("one", 2) {
		if e.Account != "other" {
			t.Errorf("the other account gets %+v", e)
		}
	}
	for owner, c := range map[string]notifierClient{account: mine, "other": others} {
		if all := c.positions(); len(all) != 1 || all["one"].OwnerAccount != owner {
			t.Errorf("account %s sees %+v, want its own position", owner, all)
		}
	}
	others.run("positions", "rm", "one")
	if got := len(mine.positions()); got != 1 {
		t.Errorf("%d positions are left when the other account has removed its own, want 1", got)
	}
	mine.refused(`there is no position "one" of account "other"`, "positions", "rm", "one", "--owner-account", "other")

	if all := operator.positions(); len(all) != 2 || all["one"].OwnerAccount != account || all["@push"].Name == "" {
		t.Errorf("the log has %+v, want the account's position and that of what is pushed", all)
	}
	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	operator.run("positions", "rm", "@push")
	if all := operator.positions(); len(all) != 1 {
		t.Errorf("the log has %+v, want the account's position", all)
	}
}

// TestNamedMoves has a position go on at another notifier: when its member moves, and when the notifier is killed.
func TestNamedMoves(t *testing.T) {
	t.Parallel() // most of it is waiting
	s := newSite(t)
	addrs := freeAddrs(t, 3)
	first := s.start("notifier", "--notifier.addr", addrs[0])
	s.ready(
		first,
		s.start("notifier", "--notifier.addr", addrs[1]),
		s.start("ingest", "--ingest.addr", addrs[2], "--account", account+":"+token),
		s.start("assembler"),
		s.start("writer", "--data-dir", t.TempDir()),
	)
	one, two := notifierClient{t: t, addr: addrs[0]}, notifierClient{t: t, addr: addrs[1]}
	target := newWireTarget("a:1.j", 1)
	all := ship(t, addrs[2], target, 4)
	if got := generations(append(one.take("moves", 2), two.take("moves", 2)...)); !slices.Equal(got, all) {
		t.Errorf("both notifiers in turn bring %d, want %d", got, all)
	}

	m := one.member("moves")
	two.waitMembers("moves", 1)
	if err := m.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	held := ship(t, addrs[2], target, 3)
	two.waitUnacked("moves", 3)
	first.Kill()
	got := generations(two.take("moves", 3))
	slices.Sort(got)
	if !slices.Equal(got, held) {
		t.Errorf("the other notifier brings %d again, want %d", got, held)
	}
}
