package writer

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// checkTree checks that dir holds the files of inputs and nothing else, and that nothing is staged.
func checkTree(t *testing.T, dir string, inputs []input) {
	t.Helper()
	want := make(map[string]bool)
	for _, in := range inputs {
		p := archive.ScrapePaths(in.target, in.state.Epoch)
		want[p.Data], want[p.Metadata] = true, true
	}
	got := make(map[string]bool)
	for name := range tree(t, dir) {
		got[name] = true
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, in := range inputs {
		if err := checkScrape(os.DirFS(dir), in); err != nil {
			t.Errorf("%s, epoch %d: %v", in.target, in.state.Epoch, err)
		}
	}
}

// tree returns all files below dir with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkScrape reads a scrape with both parsers of the Prometheus project and compares it with what it was made from.
func checkScrape(fsys fs.FS, in input) error {
	p := archive.ScrapePaths(in.target, in.state.Epoch)
	m, samples, err := archive.Read(fsys, p.Dir) // by textparse
	if err != nil {
		return err
	}
	want := samplesOf(in)
	if err := sameSamples(want, samples); err != nil {
		return err
	}
	wantMeta := archive.NewMetadata(in.target, &in.state, expo.NewTemplate(in.schema))
	if diff := gocmp.Diff(wantMeta, m); diff != "" {
		return fmt.Errorf("metadata (-want +got):\n%s", diff)
	}
	text, err := gunzip(fsys, p.Data)
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("expfmt: %w", err)
	}
	if len(families) == 0 && len(want) > 0 {
		return fmt.Errorf("expfmt found no families")
	}
	return nil
}

func gunzip(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// samplesOf returns the samples that a scrape stands for.
func samplesOf(in input) []expo.Sample {
	times := make(map[int32]int64)
	for _, s := range in.state.Stamps {
		times[s.Index] = s.Time
	}
	var all []expo.Sample
	for i, series := range in.schema.Series {
		if series.Name() == "" {
			continue
		}
		s := expo.Sample{Labels: slices.Clone(series.Labels), Value: in.state.Values[i]}
		slices.SortFunc(s.Labels, func(a, b scrape.Label) int { return cmp.Compare(a.Name, b.Name) })
		s.Time, s.HasTime = times[int32(i)]
		all = append(all, s)
	}
	return all
}

func sameSamples(want, got []expo.Sample) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d samples, want %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i].Labels, want[i].Labels) {
			return fmt.Errorf("sample %d is %v, want %v", i, got[i].Labels, want[i].Labels)
		}
		if math.Float64bits(got[i].Value) != math.Float64bits(want[i].Value) {
			return fmt.Errorf("sample %d is %v, want %v", i, got[i].Value, want[i].Value)
		}
		if got[i].HasTime != want[i].HasTime || got[i].Time != want[i].Time {
			return fmt.Errorf("sample %d has time %d (%v), want %d (%v)", i, got[i].Time, got[i].HasTime, want[i].Time, want[i].HasTime)
		}
	}
	return nil
}

// checkEvents checks that the log holds exactly one event for each input, a target's in order.
func checkEvents(t *testing.T, b *bus.Bus, dir string, inputs []input) {
	t.Helper()
	all := messages(t, b, event.Events, "zs.event.>", len(inputs))
	if n := count(t, b, event.Events, "zs.event.>"); n != len(inputs) {
		t.Errorf("%d events for %d scrapes", n, len(inputs))
	}
	got := make(map[scrape.Target][]*eventpb.ScrapeWritten)
	for _, m := range all {
		e := decodeEvent(t, m)
		target := eventTarget(m)
		if want := event.EventSubject(target, bustest.Partitions); m.Subject != want {
			t.Errorf("event of %s is on %s, want %s", target, m.Subject, want)
		}
		got[target] = append(got[target], e)
	}
	want := make(map[scrape.Target][]*eventpb.ScrapeWritten)
	for _, in := range inputs {
		want[in.target] = append(want[in.target], eventOf(t, dir, in))
	}
	if diff := gocmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func eventTarget(m bus.Message) scrape.Target {
	target, err := m.Header.Target()
	if err != nil {
		return scrape.Target{Name: err.Error()}
	}
	return target
}

func decodeEvent(t *testing.T, m bus.Message) *eventpb.ScrapeWritten {
	t.Helper()
	e := new(eventpb.ScrapeWritten)
	if err := event.Unmarshal(m.Data, e); err != nil {
		t.Fatal(err)
	}
	return e
}

func eventOf(t *testing.T, dir string, in input) *eventpb.ScrapeWritten {
	t.Helper()
	p := archive.ScrapePaths(in.target, in.state.Epoch)
	info, err := os.Stat(filepath.Join(dir, p.Data))
	if err != nil {
		t.Fatal(err)
	}
	return &eventpb.ScrapeWritten{
		Account: in.target.Account, Source: in.target.Source, Target: in.target.Name, InstanceId: in.target.Name,
		Type: "prometheus", DataPath: p.Data, MetadataPath: p.Metadata,
		DefaultTimestampMs: in.state.Time, EpochUs: in.state.Epoch, Generation: in.state.Generation,
		Samples: uint32(len(samplesOf(in))), Inferred: uint32(len(in.state.Inferred)), Bytes: uint64(info.Size()),
	}
}
