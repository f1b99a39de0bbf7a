package reading

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/expo"
)

// Range is a range of epochs, in microseconds since the Unix epoch, both ends in it.
type Range struct{ Since, Until int64 }

// Always is the range of all epochs.
func Always() Range { return Range{Since: math.MinInt64, Until: math.MaxInt64} }

// cut returns the part of ascending epochs that is in the range.
func (r Range) cut(epochs []int64) []int64 {
	from, _ := slices.BinarySearch(epochs, r.Since)
	to := len(epochs)
	if r.Until < math.MaxInt64 {
		to, _ = slices.BinarySearch(epochs, r.Until+1)
	}
	return epochs[from:max(from, to)]
}

// Epochs lists the epochs of a target's scrapes in a range, ascending.
func (t Tree) Epochs(target Target, r Range) ([]int64, error) {
	epochs, err := archive.Epochs(t.FS, target.Dir)
	return r.cut(epochs), err
}

// Pick returns the place in ascending epochs of the last one that is not after until. The error wraps ErrNotFound if there is
// none, and says what there is.
func Pick(epochs []int64, until int64, zone *time.Location, layout string) (int, error) {
	i := len(Range{Since: math.MinInt64, Until: until}.cut(epochs)) - 1
	switch {
	case len(epochs) == 0:
		return 0, fmt.Errorf("scrape %w: the target has none any more", ErrNotFound)
	case i < 0:
		show := func(epoch int64) string { return time.UnixMicro(epoch).In(zone).Format(layout) }
		return 0, fmt.Errorf("scrape at or before %s %w: the first is of %s", show(until), ErrNotFound, show(epochs[0]))
	}
	return i, nil
}

// Row is a scrape with what its metadata says.
type Row struct {
	Epoch    int64
	Paths    archive.Paths
	Sizes    archive.Sizes
	Metadata *archive.Metadata
}

// Rows reads the metadata of scrapes. Those that are gone meanwhile are left out.
func (t Tree) Rows(target Target, epochs []int64) ([]Row, error) {
	rows := make([]Row, 0, len(epochs))
	for _, epoch := range epochs {
		row := Row{Epoch: epoch, Paths: archive.PathsIn(target.Dir, epoch)}
		var err error
		if row.Metadata, err = archive.ReadMetadata(t.FS, row.Paths); err == nil {
			row.Sizes, err = archive.Stat(t.FS, row.Paths)
		}
		if errors.Is(err, fs.ErrNotExist) && !t.exists(row.Paths.Dir) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (t Tree) exists(name string) bool {
	_, err := fs.Stat(t.FS, name)
	return err == nil
}

// Text returns the exposition of a scrape: with its common labels, or as its data file has it.
func (t Tree) Text(target Target, epoch int64, merge bool) ([]byte, error) {
	p := archive.PathsIn(target.Dir, epoch)
	m, err := archive.ReadMetadata(t.FS, p)
	if err != nil {
		return nil, err
	}
	text, err := archive.ReadText(t.FS, p)
	if err != nil || !merge {
		return text, err
	}
	return expo.AppendMerged(make([]byte, 0, 2*len(text)), text, m.Common), nil
}

// Scrape is one scrape as Compare takes it.
type Scrape struct {
	Epoch    int64
	Metadata *archive.Metadata
	Samples  []expo.Sample
}

// Read reads a scrape whole.
func (t Tree) Read(target Target, epoch int64) (*Scrape, error) {
	m, samples, err := archive.Read(t.FS, archive.PathsIn(target.Dir, epoch).Dir)
	if err != nil {
		return nil, err
	}
	return &Scrape{Epoch: epoch, Samples: samples, Metadata: m}, nil
}
