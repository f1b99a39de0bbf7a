package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// writtenScrape is one scrape read back from disk.
type writtenScrape struct {
	place   archive.Place
	meta    *archive.Metadata
	samples []expo.Sample
	text    []byte
}

// readTarget reads all scrapes of a target, in order of their epochs.
func readTarget(t *testing.T, files, name string) []writtenScrape {
	t.Helper()
	var all []writtenScrape
	root := os.DirFS(files)
	for place, err := range archive.Scrapes(root) {
		if err != nil {
			t.Fatal(err)
		}
		if place.TargetDir != targetDir(name) {
			continue
		}
		meta, samples, err := archive.Read(root, place.Dir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, writtenScrape{place: place, meta: meta, samples: samples, text: gunzip(t, filepath.Join(files, place.Data))})
	}
	return all
}

func gunzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkExact compares what was written of a target with what it exposed: every scrape once and in order, every sample with its
// labels, its value to the last bit and its place, every HELP and TYPE.
func checkExact(t *testing.T, r *recorder, job string, written []writtenScrape) {
	t.Helper()
	exposed := r.exposed()
	if len(written) != len(exposed) {
		t.Fatalf("%s: %d scrapes written, %d exposed", job, len(written), len(exposed))
	}
	for i, w := range written {
		checkScrape(t, exposed[i], targetLabels(r, job), w)
		if t.Failed() {
			t.Fatalf("%s: scrape %d of %d, in %s, is not what was exposed", job, i+1, len(written), w.place.Dir)
		}
	}
}

func targetLabels(r *recorder, job string) []scrape.Label {
	return []scrape.Label{{Name: "instance", Value: r.host()}, {Name: "job", Value: job}}
}

func checkScrape(t *testing.T, exposed []byte, labels []scrape.Label, w writtenScrape) {
	t.Helper()
	want, err := expo.ReadText(exposed, labels)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != len(w.samples) {
		t.Errorf("%d samples, want %d", len(w.samples), len(want))
		return
	}
	for i, s := range want {
		got := w.samples[i]
		// In Prometheus' data model a label without a value is no label, and the wire has none.
		s.Labels = slices.DeleteFunc(s.Labels, func(l scrape.Label) bool { return l.Value == "" })
		if !slices.Equal(s.Labels, got.Labels) || math.Float64bits(s.Value) != math.Float64bits(got.Value) {
			t.Errorf("sample %d is %v %v, want %v %v", i, got.Labels, got.Value, s.Labels, s.Value)
			return
		}
		if s.HasTime && (!got.HasTime && s.Time != w.meta.Time || got.HasTime && s.Time != got.Time) {
			t.Errorf("sample %d has time %d, want %d", i, got.Time, s.Time)
		}
	}
	if diff := cmp.Diff(comments(exposed), comments(w.text)); diff != "" {
		t.Errorf("HELP and TYPE (-exposed +written):\n%s", diff)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(bytes.NewReader(w.text)); err != nil {
		t.Errorf("expfmt does not read the file: %v", err)
	}
}

// comments returns the lines of HELP and TYPE, sorted: some targets write TYPE first.
func comments(text []byte) []string {
	var all []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "# HELP ") || strings.HasPrefix(line, "# TYPE ") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	slices.Sort(all)
	return all
}

func targetDir(name string) string {
	return archive.TargetDir(scrape.Target{Account: account, Name: name})
}
