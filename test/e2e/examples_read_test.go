package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/test/eventually"
)

// dump writes all samples of the scrapes whose paths it is given, a line each.
const dump = `
import json, sys
sys.path.insert(0, sys.argv[1])
from scrape import read_scrape
for line in sys.stdin:
    for s in read_scrape(sys.argv[2], *line.split()):
        print(json.dumps([s.labels, s.value.hex(), s.time_ms]))
`

// TestExamplePythonReads compares every sample of real scrapes, as the example in Python reads it, with what is in the files.
func TestExamplePythonReads(t *testing.T) {
	python := findPython()
	if python == "" {
		t.Skip(noPython)
	}
	b := newBooks(t)
	n := b.ship()
	files := os.DirFS(b.z.Files())
	var paths, want []string
	eventually.Succeeds(t, "all is written", func() error {
		paths, want = nil, nil
		for place, err := range archive.Scrapes(files) {
			if err != nil {
				return err
			}
			paths = append(paths, place.Metadata+" "+place.Data)
			want = append(want, describe(t, files, place.Dir)...)
		}
		if len(paths) != n {
			return fmt.Errorf("%d of %d", len(paths), n)
		}
		return nil
	})
	cmd := exec.CommandContext(t.Context(), python, "-B", "-c", dump, pythonDir, b.z.Files())
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Join(paths, "\n")), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Collect(bytes.Lines(out))
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d samples are read, want %d", len(got), len(want))
	}
	for i, line := range got {
		if s := parseDump(t, line); s != want[i] {
			t.Fatalf("sample %d is %s, want %s", i, s, want[i])
		}
	}
}

// describe returns the samples of a scrape, each with its labels, the bits of its value, and its time.
func describe(t *testing.T, files fs.FS, dir string) (all []string) {
	t.Helper()
	meta, samples, err := archive.Read(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		labels := make(map[string]string)
		for _, l := range s.Labels {
			labels[l.Name] = l.Value
		}
		time := meta.Time
		if s.HasTime {
			time = s.Time
		}
		all = append(all, fmt.Sprintf("%q %x %d", labels, math.Float64bits(s.Value), time))
	}
	return all
}

// parseDump returns a line of the dump as describe does.
func parseDump(t *testing.T, line []byte) string {
	t.Helper()
	var labels map[string]string
	var hex string
	var time int64
	if err := json.Unmarshal(line, &[]any{&labels, &hex, &time}); err != nil {
		t.Fatal(err)
	}
	value, err := strconv.ParseFloat(hex, 64)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q %x %d", labels, math.Float64bits(value), time)
}
