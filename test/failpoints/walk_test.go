package failpoints

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/test/eventually"
)

// variants returns the failpoints to die at for a name, each in the form of ZSTATS_FAILPOINT; several are for one process after the
// other.
func variants(name string) []points {
	switch {
	case name == "log.batch.half/SCHEMAS": // there is one batch of schemas
		return []points{{name}, {name + "+50ms"}}
	case strings.HasSuffix(name, "/SCHEMAS"):
		return []points{{name}}
	case strings.HasPrefix(name, "log.batch.half/"):
		// Once with the messages before on their way to the server, once surely with them there.
		return []points{{name}, {name + "#2+50ms"}}
	case strings.HasPrefix(name, "log.batch."), strings.HasPrefix(name, "worker.commit."):
		return []points{{name}, {name + "#2"}}
	case name == "volume/placed", name == "volume/staged", name == "volume/moved":
		return []points{{name}, {name + "#4"}} // in the middle of a group
	case strings.HasPrefix(name, "volume.sweep."):
		return []points{{"volume/durable", name}} // a dead writer's leftovers
	case name == "volume.claim.emptied":
		return []points{{name}, {name + "#2"}} // at the start, at the end
	}
	return []points{{name}}
}

// TestWalk kills zstats at every failpoint of its services, under a load that comes to it, and starts it again. Then it sends
// what was not acknowledged, as a collector does, and more, and judges: acknowledged is written once and notified once.
func TestWalk(t *testing.T) {
	for _, name := range failpoint.Names() {
		if strings.HasPrefix(name, "collector.") {
			continue // see TestWalkCollector
		}
		for _, points := range variants(name) {
			t.Run(strings.ReplaceAll(strings.Join(points, ","), "/", ":"), func(t *testing.T) {
				t.Parallel()
				walk(t, name, points)
			})
		}
	}
}

func walk(t *testing.T, name string, p points) {
	fresh := strings.HasPrefix(name, "log.stream.made/")
	dir := t.TempDir()
	if !fresh {
		if err := os.CopyFS(dir, os.DirFS(planted)); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoad()
	s := newServer(t, dir, p)
	switch {
	case strings.HasPrefix(name, "trim."):
		prepareTrim(s, l)
	case name == "volume/moved", name == "volume/gone":
		prepareRemoval(s, l)
	}
	s.start()
	for _, request := range l.requests {
		s.ship(request)
	}
	if name == "log.split" {
		s.ship(wide())
	}
	if atStop := strings.HasPrefix(name, "worker.release.") || slices.Equal(p, points{"volume.claim.emptied#2"}); atStop {
		s.drain()
		s.stop()
		s.start()
	}
	if len(s.points) > 0 {
		s.died()
		s.start()
	}
	s.ship(l.next()) // it goes on
	s.drain()
	s.told()
	s.stop()
	err := withLog(t.Context(), dir, func(b *bus.Bus) error {
		if !fresh {
			l.refused = append(l.refused, rawPoison, scrapePoison)
		}
		checkDead(t, s.judge(b), l.refused)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkDead checks that there are dead letters of the targets, and of no others.
func checkDead(t *testing.T, dead []checker.Dead, want []string) {
	t.Helper()
	var got []string
	for _, d := range dead {
		got = append(got, d.Target.Name)
	}
	slices.Sort(got)
	got = slices.Compact(got) // what is done again may be buried again
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets with dead letters (-want +got):\n%s", diff)
	}
}

// prepareTrim sends some of the load, has it done, and makes the next process one that trims all of it as it starts.
func prepareTrim(s *server, l *load) {
	later := s.points
	s.points = nil
	s.start()
	for _, request := range l.requests[:2] {
		s.ship(request)
	}
	l.requests = l.requests[2:]
	s.drain()
	s.told() // these events will be trimmed
	s.stop()
	sent := time.Now()
	s.start() // its workers move the checkpoints of idle partitions to the end
	s.stop()
	eventually.Succeeds(s.t, "what was sent is old", func() error {
		if time.Since(sent) < 300*time.Millisecond { // the age of SCRAPES, which is that of RAW and the head limit, and more
			return errNotYet
		}
		return nil
	})
	s.points, s.args = later, []string{"--raw.age=110ms", "--ingest.head-limit=100ms", "--events.age=100ms"}
}

// prepareRemoval sends some of the load, has it done, and makes the next process one that removes its files as it starts.
func prepareRemoval(s *server, l *load) {
	later := s.points
	s.points = nil
	s.start()
	for _, request := range l.requests[:3] {
		s.ship(request)
	}
	l.requests = l.requests[3:]
	s.drain()
	s.told() // nobody looks for these files any more
	s.stop()
	s.points, s.args, s.retention = later, []string{"--retention.age=1ms", "--retention.grace=0s"}, true
}
