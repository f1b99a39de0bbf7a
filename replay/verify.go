package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
)

// verify is the sink that compares with a directory of files.
type verify struct {
	fsys      fs.FS
	selection selection
	cut       bool
	shelves   map[string]*shelf // by the target's directory; not changed after it was listed
	found     func(Difference)
	missing   []place // to be looked at again; for settle and finish
}

// shelf is what lies in a target's directory.
type shelf struct {
	epochs []int64 // ascending

	mu    sync.Mutex // guards the fields below
	seen  []bool
	first int64 // the least epoch that the replay gave
	// partial: what lies before first may be from before the log.
	partial bool
}

// place is where a scrape should be.
type place struct {
	target scrape.Target
	epoch  int64
	path   string
}

// newVerify lists the directory. The span must be found after that, so that all that is listed comes from it.
func newVerify(o *Options, sel selection) (*verify, error) {
	info, err := os.Stat(o.Verify)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no directory")
	}
	if err != nil {
		return nil, fmt.Errorf("directory to compare with: %w", err)
	}
	v := &verify{fsys: os.DirFS(o.Verify), selection: sel, shelves: make(map[string]*shelf), found: o.Found}
	return v, v.list()
}

func (v *verify) list() error {
	accounts, err := archive.AccountDirs(v.fsys)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if v.selection.account != "" && account != archive.AccountDir(v.selection.account) {
			continue
		}
		targets, err := archive.TargetDirs(v.fsys, account)
		if err != nil {
			return err
		}
		for _, dir := range targets {
			if err := v.listTarget(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *verify) listTarget(dir string) error {
	target, err := archive.TargetOf(v.fsys, dir)
	if err == nil && !v.selection.hasTarget(target) {
		return nil
	}
	epochs, err := archive.Epochs(v.fsys, dir)
	if err != nil {
		return err
	}
	epochs = slices.DeleteFunc(epochs, func(e int64) bool { return !v.selection.hasEpoch(e) })
	v.shelves[dir] = &shelf{epochs: slices.Clip(epochs), seen: make([]bool, len(epochs)), first: math.MaxInt64}
	return nil
}

func (v *verify) begin() error { return nil }

func (v *verify) take(ctx context.Context, r *render.Renderer, s *one) error {
	// The same bytes are the same text, and to compress is less work than to decompress. Another version's bytes may differ.
	want, err := r.Gzip(ctx, s.target, s.state)
	if err != nil {
		return err
	}
	there, err := fs.ReadFile(v.fsys, want.Paths.Data)
	sameData := err == nil && bytes.Equal(there, want.Data)
	if !sameData {
		if want, err = r.Text(ctx, s.target, s.state); err != nil {
			return err
		}
	}
	s.samples = want.Metadata.Samples
	if shelf := v.shelves[archive.TargetDir(s.target)]; shelf != nil {
		shelf.mark(s.state.Epoch, s.partial)
	}
	if !sameData {
		missing, err := v.compareText(s, want)
		if missing || err != nil {
			return err
		}
	}
	return v.compareMetadata(s, want)
}

// mark notes that the replay gives an epoch.
func (s *shelf) mark(epoch int64, partial bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = min(s.first, epoch)
	s.partial = s.partial || partial
	if i, ok := slices.BinarySearch(s.epochs, epoch); ok {
		s.seen[i] = true
	}
}

// differ notes a difference of a scrape.
func (s *one) differ(kind Kind, at archive.Paths, detail string) {
	s.found = append(s.found, Difference{kind, s.target, s.state.Epoch, at.Dir, detail})
}

// compareText compares the text of a scrape. It reports whether nothing at all is there.
func (v *verify) compareText(s *one, want *render.Files) (missing bool, err error) {
	text, err := archive.ReadText(v.fsys, want.Paths)
	switch {
	case err != nil && isContent(err):
		if _, err := fs.Stat(v.fsys, want.Paths.Dir); err != nil && isContent(err) {
			s.differ(Missing, want.Paths, "")
			return true, nil
		}
		s.differ(Damaged, want.Paths, "the data file is missing")
	case isDisk(err):
		return false, err
	case err != nil:
		s.differ(Damaged, want.Paths, "data: "+reason(err))
	case !bytes.Equal(text, want.Data):
		s.differ(Text, want.Paths, firstDifference(text, want.Data))
	}
	return false, nil
}

// compareMetadata compares the json of a scrape as it is parsed.
func (v *verify) compareMetadata(s *one, want *render.Files) error {
	got, err := fs.ReadFile(v.fsys, want.Paths.Metadata)
	wanted := want.Metadata.Append(nil)
	switch {
	case err != nil && isContent(err):
		s.differ(Damaged, want.Paths, "the json file is missing")
	case err != nil:
		return err
	case !bytes.Equal(got, wanted):
		if kind, detail := compareJSON(got, wanted); detail != "" {
			s.differ(kind, want.Paths, detail)
		}
	}
	return nil
}

// isDisk tells an error of the disk from one that says what lies there.
func isDisk(err error) bool {
	var fromDisk *fs.PathError
	return errors.As(err, &fromDisk) && !isContent(err)
}

// reason returns what is at the root of an error.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// firstDifference says where two texts begin to differ.
func firstDifference(got, want []byte) string {
	gotLines, wantLines := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(gotLines), len(wantLines)) {
		if !bytes.Equal(gotLines[i], wantLines[i]) {
			return fmt.Sprintf("line %d is %q, the log gives %q", i+1, short(gotLines[i]), short(wantLines[i]))
		}
	}
	return fmt.Sprintf("it has %d lines, the log gives %d", len(gotLines)-1, len(wantLines)-1)
}

// short cuts a line where it gets long.
func short(line []byte) []byte {
	const most = 120
	if len(line) <= most {
		return line
	}
	return append(slices.Clone(line[:most]), "…"...)
}

// compareJSON compares two objects as they are parsed. The detail is empty if they are the same.
func compareJSON(got, want []byte) (kind Kind, detail string) {
	g, err := parseJSON(got)
	if err != nil {
		return Damaged, "json: " + err.Error()
	}
	w, err := parseJSON(want)
	if err != nil {
		return Damaged, "json of the replay: " + err.Error()
	}
	var keys []string
	for key := range w {
		if !reflect.DeepEqual(g[key], w[key]) {
			keys = append(keys, key)
		}
	}
	for key := range g {
		if _, ok := w[key]; !ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return "", ""
	}
	slices.Sort(keys)
	first := keys[0]
	return Metadata, fmt.Sprintf("differs in %s: %s is %s, the log gives %s", strings.Join(keys, ", "), first, show(g, first), show(w, first))
}

func parseJSON(data []byte) (m map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return m, d.Decode(&m)
}

func show(m map[string]any, key string) string {
	value, ok := m[key]
	if !ok {
		return "missing"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(short(text))
}

func (v *verify) settle(all []*one, report *Report) error {
	for _, s := range all {
		report.Samples += int64(s.samples)
		if len(s.found) == 0 {
			report.Same++
		}
		for _, d := range s.found {
			if d.Kind == Missing {
				v.missing = append(v.missing, place{d.Target, d.Epoch, d.Path})
				continue
			}
			v.report(d, report)
		}
	}
	return nil
}

func (v *verify) report(d Difference, report *Report) {
	report.differ(d.Kind, 1)
	v.found(d)
}

// finish looks again for what was missing, as a live writer may be a little behind, and reports what is extra.
func (v *verify) finish(report *Report) error {
	for _, p := range v.missing {
		_, err := fs.Stat(v.fsys, p.path)
		switch {
		case err == nil:
			report.Same++ // it came meanwhile
		case isContent(err):
			v.report(Difference{Missing, p.target, p.epoch, p.path, "no such scrape"}, report)
		default:
			return err
		}
	}
	dirs := make([]string, 0, len(v.shelves))
	for dir := range v.shelves {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		v.extras(dir, v.shelves[dir], report)
	}
	return nil
}

// extras reports the scrapes of a target that the log doesn't give. Where the log, or what it can rebuild of the target, begins
// later than the files, the earlier ones are only counted.
func (v *verify) extras(dir string, s *shelf, report *Report) {
	var target *scrape.Target
	for i, epoch := range s.epochs {
		if s.seen[i] {
			continue
		}
		if (v.cut || s.partial) && epoch < s.first {
			report.Uncovered++
			continue
		}
		if target == nil {
			name, _ := archive.TargetOf(v.fsys, dir) // one without a name is shown by its path
			target = &name
		}
		v.report(Difference{Extra, *target, epoch, archive.PathsIn(dir, epoch).Dir, "the log gives no such scrape"}, report)
	}
}

func (v *verify) close() error { return nil }
