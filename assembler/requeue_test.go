package assembler

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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/deadletter"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/writer"
)

var otherTarget = scrape.Target{Account: "acme", Name: "10.0.0.2:9100.node"}

// line is a log with an assembler and a writer on it, which poison can be fed to.
type line struct {
	*node
	files string
	stop  func()
}

// startLine runs the stages. The fold panics on the given generations of testTarget.
func startLine(t *testing.T, poisonous ...int64) *line {
	t.Helper()
	n := openNode(t)
	a := n.assemble(t, func(o *Options) {
		o.hook = func(target scrape.Target, b *scrape.Blob) {
			if target == testTarget && slices.Contains(poisonous, b.Generation) {
				panic("a bug")
			}
		}
	})
	l := &line{node: n, files: t.TempDir()}
	w, err := writer.New(writer.Options{
		Bus: n.Bus, Dir: l.files, Partitions: bustest.Partitions, ID: "w", Linger: time.Millisecond, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	stopAssembler := run(t, a)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		stopAssembler()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("writer: %v", err)
		}
	})
	t.Cleanup(l.stop)
	return l
}

// traffic is the same for every line: two targets, the first of which sends full blobs of generations 1, 6 and 8, increments
// between them, and 4 and 5 in one request.
func traffic(t *testing.T) []bus.Message {
	first, second := newDevice("m", 7, 1), newDevice("n", 3, 100)
	one := func(at int, blobs ...*scrape.Blob) bus.Message {
		return rawMessage(t, testTarget, seconds(at), blobs...)
	}
	messages := []bus.Message{
		one(0, first.full()), one(1, first.incremental()), one(2, first.incremental()), one(3, first.incremental(), first.incremental()),
		one(4, first.full()), one(5, first.incremental()), one(6, first.full()), one(7, first.incremental()),
	}
	return append(messages, each(t, otherTarget, 8, second.chain(4)...)...)
}

// trafficScrapes is how many scrapes the traffic holds, of both targets.
const trafficScrapes = 9 + 4

func (l *line) events(t *testing.T, count int) []*eventpb.ScrapeWritten {
	t.Helper()
	var all []*eventpb.ScrapeWritten
	for _, m := range l.waitFor(t, event.Events, "zs.event.>", count) {
		e := new(eventpb.ScrapeWritten)
		if err := event.Unmarshal(m.Data, e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// tree returns the files below a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// undisturbed returns the files that the traffic becomes without poison.
func undisturbed(t *testing.T) map[string]string {
	t.Helper()
	l := startLine(t)
	l.feed(t, traffic(t)...)
	l.events(t, trafficScrapes)
	l.stop()
	return tree(t, l.files)
}

func openBox(t *testing.T, log deadletter.Log) *deadletter.Box {
	t.Helper()
	box, err := deadletter.NewBox(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// requeueAll requeues what is in DEAD and returns for each letter what became of it.
func requeueAll(t *testing.T, log deadletter.Log, dry bool) ([]string, error) {
	t.Helper()
	box := openBox(t, log)
	letters, err := box.List(t.Context(), deadletter.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	err = box.Requeue(t.Context(), letters, dry, func(r *deadletter.Result) error {
		all = append(all, fmt.Sprintf("raw %d %s: %s, %d now, %d earlier, %d accepted %s",
			r.RawSequence, r.Reason, r.Outcome(), r.Scrapes, r.Earlier, r.Accepted, strings.Join(r.Faults, "; ")))
		return nil
	})
	return all, err
}

func mustRequeue(t *testing.T, log deadletter.Log, dry bool, want ...string) {
	t.Helper()
	got, err := requeueAll(t, log, dry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, trimmed(got)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func trimmed(all []string) []string {
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// sameFiles compares trees. Scrapes that the live fold accepted behind the gap say of another run that they are of it: there the
// number of the run may differ, and nothing else.
func sameFiles(t *testing.T, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("files (-undisturbed +got):\n%s", diff)
	}
	for name, text := range want {
		if got[name] == text {
			continue
		}
		a, b := make(map[string]any), make(map[string]any)
		if errors.Join(json.Unmarshal([]byte(text), &a), json.Unmarshal([]byte(got[name]), &b)) != nil {
			t.Errorf("%s differs", name)
			continue
		}
		if g := a["generation"].(float64); g < 6 {
			t.Errorf("%s of generation %v differs: %s, undisturbed %s", name, g, got[name], text)
		}
		delete(a, "run")
		delete(b, "run")
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-undisturbed +got):\n%s", name, diff)
		}
	}
}

// TestRequeue: a message in the middle of a chain is poison. When the cause is mended, it and the chain behind it are written as
// if nothing had happened, and the live state stays as it is.
func TestRequeue(t *testing.T) {
	want := undisturbed(t)
	l := startLine(t, 3, 8)
	l.feed(t, traffic(t)...)
	// 3 to 5 are lost, 8 is too, and 9 does not follow from 7.
	const lost = 5
	l.events(t, trafficScrapes-lost)
	l.waitFor(t, event.Dead, "zs.dead.>", 4)
	live := l.lastState(t)
	mark := l.markOf(t, testTarget)

	dead := []string{
		"raw 3 panic: requeued, 1 now, 0 earlier, 0 accepted",
		"raw 4 gap: requeued, 2 now, 0 earlier, 0 accepted",
		"raw 7 panic: requeued, 1 now, 0 earlier, 0 accepted",
		"raw 8 gap: requeued, 1 now, 0 earlier, 0 accepted",
	}
	mustRequeue(t, l.Bus, true, dead...)
	if n := len(l.messages(t, event.Dead, "zs.dead.>")); n != 4 {
		t.Errorf("a dry run leaves %d letters", n)
	}
	mustRequeue(t, l.Bus, false, dead...)

	all := l.events(t, trafficScrapes)
	for i, e := range all {
		if late := i >= trafficScrapes-lost; e.GetLate() != late {
			t.Errorf("event %d of generation %d: late is %v", i, e.GetGeneration(), e.GetLate())
		}
	}
	if n := len(l.messages(t, event.Dead, ">")); n != 0 {
		t.Errorf("%d messages are left in DEAD", n)
	}
	if diff := cmp.Diff(live, l.lastState(t)); diff != "" {
		t.Errorf("the live state has changed (-before +after):\n%s", diff)
	}
	if got := l.markOf(t, testTarget); got != mark {
		t.Errorf("the mark has changed from %d to %d", mark, got)
	}
	mustRequeue(t, l.Bus, false)
	l.stop()
	sameFiles(t, want, tree(t, l.files))
}

func (n *node) lastState(t *testing.T) bus.Message {
	t.Helper()
	m, err := n.Last(t.Context(), event.Scrapes, event.ScrapeSubject(testTarget, bustest.Partitions))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// breakingLog fails when it is to remove a letter, as a crash between publishing and removing does.
type breakingLog struct {
	deadletter.Log
	left int // removals that succeed
}

var errBroken = errors.New("broken")

func (b *breakingLog) Remove(ctx context.Context, stream string, sequence uint64) error {
	if b.left == 0 {
		return errBroken
	}
	b.left--
	return b.Log.Remove(ctx, stream, sequence)
}

// TestRequeueEndsAnywhere: whenever a requeue ends, its repetition writes nothing twice.
func TestRequeueEndsAnywhere(t *testing.T) {
	want := undisturbed(t)
	l := startLine(t, 3, 8)
	l.feed(t, traffic(t)...)
	l.waitFor(t, event.Dead, "zs.dead.>", 4)
	l.events(t, trafficScrapes-5)
	for range 4 {
		if _, err := requeueAll(t, &breakingLog{l.Bus, 0}, false); !errors.Is(err, errBroken) {
			t.Fatalf("a requeue that can't remove: %v", err)
		}
	}
	letters, err := openBox(t, l.Bus).List(t.Context(), deadletter.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for i, letter := range letters {
		if letter.Requeued != (i == 0) {
			t.Errorf("letter %d of RAW message %d: requeued is %v", i, letter.RawSequence, letter.Requeued)
		}
	}
	if got, err := requeueAll(t, &breakingLog{l.Bus, 1}, false); !errors.Is(err, errBroken) || len(got) != 1 || !strings.Contains(got[0], "0 now, 1 earlier") {
		t.Errorf("the second try: %q, %v", got, err)
	}
	mustRequeue(t, l.Bus, false,
		"raw 4 gap: requeued, 0 now, 2 earlier, 0 accepted",
		"raw 7 panic: requeued, 1 now, 0 earlier, 0 accepted",
		"raw 8 gap: requeued, 1 now, 0 earlier, 0 accepted")
	l.events(t, trafficScrapes)
	l.stop()
	sameFiles(t, want, tree(t, l.files))
	if n := len(l.messages(t, event.Events, "zs.event.>")); n != trafficScrapes {
		t.Errorf("%d events for %d scrapes", n, trafficScrapes)
	}
}

// TestRequeueOneByOne: the letters of a chain may be requeued in separate calls, in the order of the chain. One whose predecessor
// is still missing stays.
func TestRequeueOneByOne(t *testing.T) {
	l := startLine(t, 3, 8)
	l.feed(t, traffic(t)...)
	l.waitFor(t, event.Dead, "zs.dead.>", 4)
	l.events(t, trafficScrapes-5) // letters are durable before the scrapes of their batch
	box := openBox(t, l.Bus)
	letters, err := box.List(t.Context(), deadletter.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	requeue := func(letter *deadletter.Letter) (outcome deadletter.Outcome, faults []string) {
		t.Helper()
		err := box.Requeue(t.Context(), []*deadletter.Letter{letter}, false, func(r *deadletter.Result) error {
			outcome, faults = r.Outcome(), r.Faults
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return outcome, faults
	}
	outcome, faults := requeue(letters[1])
	want := []string{
		"generation 4: the one before it is neither in SCRAPES nor in a letter folded before",
		"generation 5: the one before it is neither in SCRAPES nor in a letter folded before",
	}
	if diff := cmp.Diff(want, faults); diff != "" || outcome != deadletter.Left {
		t.Errorf("the second letter of a chain is %s (-want +got):\n%s", outcome, diff)
	}
	for i, letter := range letters {
		if outcome, faults := requeue(letter); outcome != deadletter.Requeued {
			t.Errorf("letter %d: %s, %q", i, outcome, faults)
		}
	}
	l.events(t, trafficScrapes)
}

// TestRequeueOfWhatWasSentAgain: blobs that the live fold accepted in the meantime, or that lie in DEAD twice, are written once.
func TestRequeueOfWhatWasSentAgain(t *testing.T) {
	l := startLine(t, 3)
	d := newDevice("m", 5, 1)
	full3 := func() *scrape.Blob { return fullBlob(d.schema, d.last) }
	first, second := d.full(), d.incremental()
	third := d.incremental()
	again := full3() // the collector sends what it has kept, as ingest asked for a full blob
	fourth := d.incremental()
	l.feed(t, rawMessage(t, testTarget, seconds(0), first), rawMessage(t, testTarget, seconds(1), second),
		rawMessage(t, testTarget, seconds(2), third), // poison
		rawMessage(t, testTarget, seconds(3), third), // once more, after a lost answer
		rawMessage(t, testTarget, seconds(4), fourth))
	l.waitFor(t, event.Dead, "zs.dead.>", 3)
	l.events(t, 2)
	l.stop()

	// The next version of the assembler gets 4 as a full blob, 3 does not come again.
	fourthFull := fullBlob(d.schema, d.last)
	mended := l.assemble(t, nil)
	l.process(t, mended, l.feed(t, rawMessage(t, testTarget, seconds(5), fourthFull)))
	mustRequeue(t, l.Bus, false,
		"raw 3 panic: requeued, 1 now, 0 earlier, 0 accepted",
		"raw 4 panic: already written, 0 now, 0 earlier, 1 accepted",
		"raw 5 gap: already written, 0 now, 0 earlier, 1 accepted")
	requeued := l.messages(t, event.Scrapes, event.AllRequeued)
	if len(requeued) != 1 {
		t.Fatalf("%d scrapes requeued, want 1", len(requeued))
	}
	st := decodeState(t, requeued[0])
	if st.Generation != 3 || st.Epoch != seconds(2) || !slices.Equal(st.Values, again.Values) || st.Runs[0].First != 1 {
		t.Errorf("requeued generation %d with epoch %d, runs %v, values %v, want %v", st.Generation, st.Epoch, st.Runs, st.Values, again.Values)
	}
}
