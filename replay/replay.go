package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
)

// Errors of Run. They are wrapped; test with errors.Is.
var (
	// ErrInterrupted: the context ended. A replay into a directory can be resumed.
	ErrInterrupted = errors.New("interrupted")
	// ErrNotEmpty: the directory holds files that are not of this replay.
	ErrNotEmpty = errors.New("holds files already")
	// ErrOther: the directory holds the checkpoint of a replay with another request.
	ErrOther = errors.New("holds another replay, which was not finished")
)

// Replay runs the fold and the renderer over the log again.
type Replay struct {
	o          Options
	selection  selection
	partitions int
	span       span
	chains     *chains
	schemas    *render.Schemas
	renderers  []*render.Renderer
	shards     []*shard
	sink       sink
	journal    *journal // nil without a directory to write to

	position uint64 // all messages up to it are handled
	report   Report
	saved    time.Time     // when the last checkpoint was made
	saving   time.Duration // how long that took

	ready   atomic.Bool   // the span is known
	done    atomic.Uint64 // position, for Progress
	scrapes atomic.Int64
	resumed uint64

	wrapSink func(sink) sink // for tests
}

// shardsEach is how many shards there are for each chain that is worked on at once, so that all are busy till the end of a group.
const shardsEach = 8

// New returns a replay.
func New(o Options) (*Replay, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Replay{o: o}
	var err error
	if r.selection, err = newSelection(&o); err != nil {
		return nil, err
	}
	r.schemas, err = render.NewSchemas(render.Options{Log: o.Bus, CacheBytes: o.CacheBytes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	for range o.Parallel {
		r.renderers = append(r.renderers, render.NewRenderer(r.schemas))
	}
	return r, nil
}

// Progress says how far Run has come. It may be called at any time.
func (r *Replay) Progress() Progress {
	if !r.ready.Load() {
		return Progress{}
	}
	return Progress{
		Done: r.done.Load() + 1 - r.span.First, Total: r.span.Last + 1 - r.span.First,
		Scrapes: r.scrapes.Load(), Resumed: r.resumed,
	}
}

// Run replays, and returns when all is durable. It may be called once. The report is valid also after ErrInterrupted.
func (r *Replay) Run(ctx context.Context) (report Report, err error) {
	defer func() { err = errors.Join(err, r.close()) }()
	finished, err := r.open(ctx)
	if err != nil || finished {
		r.report.Finished = finished
		return r.report, err
	}
	err = r.replay(ctx)
	if err == nil {
		err = r.finish(ctx)
	}
	return r.report.clone(), err
}

func (r *Replay) close() (err error) {
	for _, s := range r.shards {
		s.states.close()
	}
	if r.sink != nil {
		err = r.sink.close()
	}
	if r.journal != nil {
		r.journal.close()
	}
	return err
}

// open finds out where to begin. It returns true if there is nothing left to do.
func (r *Replay) open(ctx context.Context) (finished bool, err error) {
	if r.partitions, err = r.o.Bus.Partitions(ctx); err != nil {
		return false, err
	}
	var v *verify
	if r.o.Verify != "" { // it lists the directory before the span is found
		if v, err = newVerify(&r.o, r.selection); err != nil {
			return false, err
		}
		r.sink = v
	}
	last, err := r.openJournal()
	if err != nil {
		return false, err
	}
	if last != nil {
		r.span, r.position, r.report = last.Span, last.Position, last.Report
		if err := r.span.check(ctx, r.o.Bus, r.o.Source.stream()); err != nil {
			return false, err
		}
	} else {
		if r.span, err = findSpan(ctx, r.o.Bus, r.o.Source, r.o.Since, r.o.Until, r.o.skew); err != nil {
			return false, err
		}
		r.position = r.span.First - 1
	}
	if last != nil && last.Done {
		return true, nil
	}
	if v != nil {
		v.cut = r.span.Trimmed
	} else if r.sink, err = newFiles(&r.o); err != nil {
		return false, err
	}
	if r.wrapSink != nil {
		r.sink = r.wrapSink(r.sink)
	}
	if r.chains, err = newChains(ctx, r.o.Bus, r.partitions, r.span); err != nil {
		return false, err
	}
	if err := r.openShards(last); err != nil {
		return false, err
	}
	r.resumed = r.position + 1 - r.span.First
	r.done.Store(r.position)
	r.ready.Store(true)
	r.saved = time.Now()
	return false, nil
}

// openJournal returns the checkpoint to go on with, nil to begin.
func (r *Replay) openJournal() (*checkpoint, error) {
	if r.o.To == "" {
		return nil, nil
	}
	if err := r.mayBegin(); err != nil {
		return nil, err
	}
	var err error
	if r.journal, err = openJournal(r.o.To); err != nil {
		return nil, err
	}
	last, err := r.journal.load()
	if err != nil || last == nil {
		return nil, err
	}
	same := last.request == requestOf(&r.o)
	switch {
	case same && !(last.Done && r.o.Overwrite):
		return last, nil
	case r.o.Overwrite:
		return nil, nil
	case last.Done:
		return nil, fmt.Errorf("%s %w, of a replay with other options: choose another directory, or allow to replace what differs (--overwrite)", r.o.To, ErrNotEmpty)
	}
	return nil, fmt.Errorf("%s %w, from %s: give its options to go on with it, or choose another directory", r.o.To, ErrOther, last.describe())
}

// describe shows a request as its options.
func (q request) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "--from %s", q.Source)
	for _, option := range []struct {
		name string
		at   int64
	}{{"since", q.Since}, {"until", q.Until}} {
		if option.at != 0 {
			fmt.Fprintf(&b, " --%s %d", option.name, option.at)
		}
	}
	for _, option := range [][2]string{{"account", q.Account}, {"target", q.Target}} {
		if option[1] != "" {
			fmt.Fprintf(&b, " --%s %q", option[0], option[1])
		}
	}
	return b.String()
}

// mayBegin returns an error if the directory holds anything but what a replay has left there.
func (r *Replay) mayBegin() error {
	if _, err := os.Stat(filepath.Join(r.o.To, Dir, checkpointFile)); err == nil || r.o.Overwrite {
		return nil
	}
	entries, err := os.ReadDir(r.o.To)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("directory for the files: %w", err)
	}
	for _, e := range entries {
		if e.Name() != Dir && e.Name() != archive.TempDir {
			return fmt.Errorf("%s %w, %s for one: choose another directory, or allow to replace what differs (--overwrite)", r.o.To, ErrNotEmpty, e.Name())
		}
	}
	return nil
}

func (r *Replay) openShards(last *checkpoint) error {
	n := shardsEach * r.o.Parallel
	dir := ""
	if r.journal != nil {
		dir = r.journal.dir
	}
	for range n {
		r.shards = append(r.shards, &shard{replay: r, states: newStates(r.o.StateBytes/int64(n), dir)})
	}
	if last == nil || last.States == "" {
		return r.begin(last)
	}
	return r.journal.loadStates(last.States, func(t scrape.Target, st *scrape.State, partial bool) error {
		return r.shardOf(event.RawSubject(t, r.partitions)).states.put(t, st, partial)
	})
}

// begin makes the first checkpoint, so that whoever comes next knows what the directory is for.
func (r *Replay) begin(last *checkpoint) error {
	if r.journal == nil || last != nil {
		return nil
	}
	return r.save(false)
}
