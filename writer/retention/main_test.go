package retention

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/archive/archivetest"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		removeAndCrash(dir)
	}
	goleak.VerifyTestMain(m)
}

// now is when all tests take place.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) int64 { return now.Add(-d).UnixMicro() }

func target(account, name string) scrape.Target { return scrape.Target{Account: account, Name: name} }

// put writes scrapes of a target, one for each age, each put on disk at its epoch.
func put(t *testing.T, dir string, target scrape.Target, ages ...time.Duration) {
	t.Helper()
	for _, age := range ages {
		archivetest.Write(t, dir, target, ago(age), "# TYPE m gauge\nm "+age.String()[:1]+"\n")
		touch(t, dir, target, age, age)
	}
}

// touch makes a scrape one that was put on disk at another time.
func touch(t *testing.T, dir string, target scrape.Target, age, written time.Duration) {
	t.Helper()
	place := filepath.Join(dir, archive.ScrapePaths(target, ago(age)).Dir)
	if err := os.Chtimes(place, time.Time{}, now.Add(-written)); err != nil {
		t.Fatal(err)
	}
}

// left returns the scrapes that are there, as TARGETDIR AGE, and checks that each of them is whole.
func left(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	files := os.DirFS(dir)
	for place, err := range archive.Scrapes(files) {
		if err != nil {
			t.Error(err)
			continue
		}
		if _, _, err := archive.Read(files, place.Dir); err != nil {
			t.Errorf("half a scrape: %v", err)
		}
		all = append(all, place.TargetDir+" "+now.Sub(time.UnixMicro(place.Epoch)).String())
	}
	return all
}

func wantLeft(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := left(t, dir)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("left are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func newRetention(t *testing.T, o Options) *Retention {
	t.Helper()
	if o.Logger == nil {
		o.Logger = zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel))
	}
	o.now = func() time.Time { return now }
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func turn(t *testing.T, r *Retention) {
	t.Helper()
	if err := r.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// onDiskOf returns what du says of a scrape.
func onDiskOf(t *testing.T, dir string, target scrape.Target, age time.Duration) (sum int64) {
	t.Helper()
	place := archive.ScrapePaths(target, ago(age)).Dir
	err := fs.WalkDir(os.DirFS(dir), place, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		sum += onDisk(info)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// noLeftovers checks that nothing is among the temporary files.
func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(path.Join(dir, archive.TempDir))
	if err != nil || len(entries) > 0 {
		t.Errorf("temporary files: %v, %v", entries, err)
	}
}
