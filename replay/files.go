package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/volume"
)

// files is the sink that writes files, as the writer does.
type files struct {
	dir       string
	volume    *volume.Volume
	overwrite bool
	seed      maphash.Seed
}

// fileEntry is a scrape that is staged.
type fileEntry struct {
	entry *volume.Entry
	paths archive.Paths
	sum   uint64 // of both files
}

func newFiles(o *Options) (*files, error) {
	v, err := volume.Open(volume.Options{Dir: o.To, Temp: archive.TempDir, Reserve: o.Reserve})
	if err != nil {
		return nil, err
	}
	if _, err := v.Sweep(); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return &files{dir: o.To, volume: v, overwrite: o.Overwrite, seed: maphash.MakeSeed()}, nil
}

func (f *files) begin() error { return f.volume.Begin() }

func (f *files) take(ctx context.Context, r *render.Renderer, s *one) error {
	rendered, err := r.Gzip(ctx, s.target, s.state)
	if err != nil {
		return err
	}
	metadata := rendered.Metadata.Append(nil)
	entry, err := f.volume.Stage(rendered.Paths.Dir,
		volume.File{Name: path.Base(rendered.Paths.Data), Data: rendered.Data},
		volume.File{Name: path.Base(rendered.Paths.Metadata), Data: metadata})
	if err != nil {
		return err
	}
	if f.overwrite {
		if entry.Replace, err = f.mayReplace(s, rendered, metadata); err != nil {
			return err
		}
	}
	s.samples = rendered.Metadata.Samples
	s.file = &fileEntry{entry: entry, paths: rendered.Paths, sum: f.sum(rendered.Data, metadata)}
	return nil
}

func (f *files) sum(data, metadata []byte) uint64 {
	return maphash.Bytes(f.seed, data)*31 + maphash.Bytes(f.seed, metadata)
}

// mayReplace reports whether something else lies in a scrape's place that gives way to it. A scrape of a requeued dead letter has
// its place only from another such one, or the same: whatever came first in the log stays, as in the live run.
func (f *files) mayReplace(s *one, rendered *render.Files, metadata []byte) (bool, error) {
	dir := os.DirFS(f.dir)
	text, err := fs.ReadFile(dir, rendered.Paths.Metadata)
	if err != nil && !isContent(err) {
		return false, err
	}
	data, dataErr := fs.ReadFile(dir, rendered.Paths.Data)
	if dataErr != nil && !isContent(dataErr) {
		return false, dataErr
	}
	if err == nil && dataErr == nil && bytes.Equal(text, metadata) && bytes.Equal(data, rendered.Data) {
		return false, nil
	}
	if !s.late {
		return true, nil
	}
	there, err := archive.DecodeMetadata(text)
	return err == nil && there.SameScrape(rendered.Metadata), nil
}

// isContent tells an error that says what lies on the disk from one of the disk.
func isContent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

func (f *files) settle(all []*one, report *Report) error {
	entries := make([]*volume.Entry, len(all))
	for i, s := range all {
		entries[i] = s.file.entry
	}
	if err := f.volume.Publish(entries); err != nil {
		return err
	}
	for _, s := range all {
		report.Samples += int64(s.samples)
		if !s.file.entry.Taken {
			report.Written++
			if s.file.entry.Replaced {
				report.Replaced++
			}
			continue
		}
		same, err := f.isThere(s.file)
		switch {
		case err != nil:
			return err
		case same:
			report.Same++
		default:
			report.Conflicts++
		}
	}
	return nil
}

// isThere reports whether what lies in a scrape's place is that scrape, to the last byte.
func (f *files) isThere(e *fileEntry) (bool, error) {
	data, err := os.ReadFile(filepath.Join(f.dir, e.paths.Data))
	if err != nil {
		return false, unlessContent(err)
	}
	metadata, err := os.ReadFile(filepath.Join(f.dir, e.paths.Metadata))
	if err != nil {
		return false, unlessContent(err)
	}
	return f.sum(data, metadata) == e.sum, nil
}

func unlessContent(err error) error {
	if isContent(err) {
		return nil
	}
	return fmt.Errorf("look at what is there: %w", err)
}

func (f *files) finish(*Report) error { return nil }

func (f *files) close() error { return f.volume.Close() }
