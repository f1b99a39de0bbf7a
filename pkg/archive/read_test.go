package archive

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// addScrape writes a scrape into a tree as a writer would.
func addScrape(t *testing.T, tree fstest.MapFS, target scrape.Target, epoch int64, values ...float64) *Metadata {
	t.Helper()
	schema := new(scrape.Schema)
	for i := range values {
		schema.Series = append(schema.Series, scrape.Series{Type: "gauge", Help: "A metric.", Labels: []scrape.Label{
			{Name: "__name__", Value: "m"}, {Name: "i", Value: string(rune('a' + i))}, {Name: "job", Value: "j"},
		}})
	}
	state := &scrape.State{Scrape: scrape.Scrape{Generation: 7, Time: 1000, Epoch: epoch, Received: epoch, Schema: schema.Hash(), Values: values}}
	if len(values) > 1 {
		state.Stamps = []scrape.Stamp{{Index: 1, Time: 990}}
	}
	template := expo.NewTemplate(schema)
	text, err := template.Append(nil, &state.Scrape)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMetadata(target, state, template)
	p := ScrapePaths(target, epoch)
	tree[p.Metadata] = &fstest.MapFile{Data: m.Append(nil)}
	tree[p.Data] = &fstest.MapFile{Data: zip(t, string(text))}
	return m
}

func testTarget() scrape.Target { return scrape.Target{Account: "acme", Source: "eu", Name: "h:1.j"} }

func TestRead(t *testing.T) {
	tree := fstest.MapFS{}
	want := addScrape(t, tree, testTarget(), 5000, 1.5, 2)
	m, samples, err := Read(tree, ScrapePaths(testTarget(), 5000).Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("metadata differs (-want +got):\n%s", diff)
	}
	wantSamples := []expo.Sample{
		{Labels: []scrape.Label{{Name: "__name__", Value: "m"}, {Name: "i", Value: "a"}, {Name: "job", Value: "j"}}, Value: 1.5},
		{Labels: []scrape.Label{{Name: "__name__", Value: "m"}, {Name: "i", Value: "b"}, {Name: "job", Value: "j"}}, Value: 2, Time: 990, HasTime: true},
	}
	if diff := cmp.Diff(wantSamples, samples); diff != "" {
		t.Errorf("samples differ (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	p := ScrapePaths(testTarget(), 5000)
	for _, c := range []struct {
		name   string
		damage func(tree fstest.MapFS)
	}{
		{"no metadata", func(tree fstest.MapFS) { delete(tree, p.Metadata) }},
		{"no data", func(tree fstest.MapFS) { delete(tree, p.Data) }},
		{"empty metadata", func(tree fstest.MapFS) { tree[p.Metadata].Data = nil }},
		{"empty data", func(tree fstest.MapFS) { tree[p.Data].Data = nil }},
		{"metadata cut off", func(tree fstest.MapFS) { tree[p.Metadata].Data = tree[p.Metadata].Data[:50] }},
		{"data cut off", func(tree fstest.MapFS) { tree[p.Data].Data = tree[p.Data].Data[:len(tree[p.Data].Data)-1] }},
		{"data with the tail of a longer file", func(tree fstest.MapFS) { tree[p.Data].Data = append(tree[p.Data].Data, "tail of another"...) }},
		{"data with a wrong byte", func(tree fstest.MapFS) { tree[p.Data].Data[30] ^= 1 }},
		{"data that is no text", func(tree fstest.MapFS) { tree[p.Data].Data = zip(t, "a{\n") }},
		{"a sample less", func(tree fstest.MapFS) { tree[p.Data].Data = zip(t, "m{i=\"a\"} 1\n") }},
		{"metadata of another target", func(tree fstest.MapFS) {
			o := fstest.MapFS{}
			other := addScrape(t, o, scrape.Target{Account: "acme", Name: "h:1.j"}, 5000, 1, 2)
			tree[p.Metadata].Data = other.Append(nil)
		}},
		{"metadata of another epoch", func(tree fstest.MapFS) {
			o := fstest.MapFS{}
			other := addScrape(t, o, testTarget(), 5001, 1, 2)
			tree[p.Metadata].Data = other.Append(nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			addScrape(t, tree, testTarget(), 5000, 1, 2)
			c.damage(tree)
			if m, _, err := Read(tree, p.Dir); err == nil {
				t.Errorf("read %+v", m)
			}
		})
	}
}

func TestReadOlderServer(t *testing.T) {
	data, err := os.ReadFile("testdata/older-server.json")
	if err != nil {
		t.Fatal(err)
	}
	const dir = "Zebrium/192.168.120.51_9100.prometheus/1584152546000001"
	tree := fstest.MapFS{
		dir + "/1584152546000001.json":    {Data: data},
		dir + "/1584152546000001.data.gz": {Data: zip(t, "# HELP up \n# TYPE up gauge\nup{} 1.000000\n")},
	}
	_, samples, err := Read(tree, dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []expo.Sample{{Value: 1, Labels: []scrape.Label{
		{Name: "__name__", Value: "up"}, {Name: "instance", Value: "192.168.120.51:9100"}, {Name: "job", Value: "prometheus"},
	}}}
	if diff := cmp.Diff(want, samples); diff != "" {
		t.Errorf("samples differ (-want +got):\n%s", diff)
	}
}

func list(fsys fs.FS) (dirs []string, problems []error) {
	for p, err := range Scrapes(fsys) {
		if err != nil {
			problems = append(problems, err)
			continue
		}
		dirs = append(dirs, p.Dir)
	}
	return dirs, problems
}

func TestScrapes(t *testing.T) {
	tree := fstest.MapFS{}
	var want []string
	for _, target := range []scrape.Target{
		{Account: "a", Name: "1"}, {Account: "a", Name: "z"}, {Account: "a", Source: "s", Name: "0"}, {Account: "a", Source: "s", Name: "y"},
		{Account: "a", Source: "t", Name: "a"}, {Account: "b", Name: "c"},
	} {
		for _, epoch := range []int64{9, 10, 100} {
			addScrape(t, tree, target, epoch, 1)
			want = append(want, ScrapePaths(target, epoch).Dir)
		}
	}
	tree[TempDir+"/x/1/1.json"] = &fstest.MapFile{}
	tree[".hidden"] = &fstest.MapFile{}
	dirs, problems := list(tree)
	if diff := cmp.Diff(want, dirs); diff != "" || problems != nil {
		t.Errorf("list differs (-want +got):\n%s\nproblems: %v", diff, problems)
	}
}

func TestScrapesOnDisk(t *testing.T) {
	tree := fstest.MapFS{}
	addScrape(t, tree, testTarget(), 5000, 1)
	root := t.TempDir()
	if err := os.CopyFS(root, tree); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, TempDir, "w1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for p, err := range Scrapes(os.DirFS(root)) {
		if err != nil {
			t.Fatal(err)
		}
		if want := (Place{TargetDir: "acme/@eu/h_1.j", Epoch: 5000, Paths: ScrapePaths(testTarget(), 5000)}); p != want {
			t.Errorf("found %+v, want %+v", p, want)
		}
		if _, _, err := Read(os.DirFS(root), p.Dir); err != nil {
			t.Error(err)
		}
	}
}

func TestScrapesTellsWhatIsForeign(t *testing.T) {
	tree := fstest.MapFS{}
	addScrape(t, tree, testTarget(), 5000, 1)
	for _, name := range []string{"file", "acme/file", "acme/@eu/file", "acme/@eu/h_1.j/file", "acme/@eu/h_1.j/x/1.json", "acme/@eu/h_1.j/007/7.json", "acme/@eu/h_1.j/+7/7.json"} {
		tree[name] = &fstest.MapFile{}
	}
	dirs, problems := list(tree)
	if diff := cmp.Diff([]string{ScrapePaths(testTarget(), 5000).Dir}, dirs); diff != "" {
		t.Errorf("list differs (-want +got):\n%s", diff)
	}
	var got []string
	for _, err := range problems {
		if !errors.Is(err, ErrForeign) {
			t.Errorf("unexpected error: %v", err)
		}
		got = append(got, strings.Split(err.Error(), `"`)[1])
	}
	slices.Sort(got)
	want := []string{"acme/@eu/file", "acme/@eu/h_1.j/+7", "acme/@eu/h_1.j/007", "acme/@eu/h_1.j/file", "acme/@eu/h_1.j/x", "acme/file", "file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("foreign names differ (-want +got):\n%s", diff)
	}
}

func TestScrapesOfNoDirectory(t *testing.T) {
	dirs, problems := list(os.DirFS(filepath.Join(t.TempDir(), "missing")))
	if dirs != nil || len(problems) != 1 || !errors.Is(problems[0], fs.ErrNotExist) {
		t.Errorf("list is %q, problems %v", dirs, problems)
	}
}

// TestScrapesStops breaks out of the list at every point.
func TestScrapesStops(t *testing.T) {
	tree := fstest.MapFS{"a/foreign": &fstest.MapFile{}}
	for _, source := range []string{"", "s", "t"} {
		for epoch := range int64(2) {
			addScrape(t, tree, scrape.Target{Account: "b", Source: source, Name: "n"}, epoch+1, 1)
		}
	}
	const all = 7
	for stop := 1; stop <= all; stop++ {
		n := 0
		for range Scrapes(tree) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped after %d, want %d", n, stop)
		}
	}
}
