package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/render"
)

// settle finds out, for a scrape whose place was taken, whether by the same scrape. Then it was written before, by a batch
// whose checkpoint was not stored, and nothing is left to do. Anything else makes the job refused.
func (w *Writer) settle(j *job) error {
	if j.refused != nil || !j.entry.Taken {
		return nil
	}
	size, err := w.findSame(j)
	if err == nil {
		j.repeat, j.data = true, size
		return nil
	}
	if !isContent(err) || w.isGone(j) {
		return fmt.Errorf("look at what lies in %s: %w", j.paths.Dir, err)
	}
	j.refused = &render.Refusal{Reason: reasonConflict, Err: fmt.Errorf("%s is left as it is: %w", j.paths.Dir, err)}
	return nil
}

// findSame returns the size of the data file on disk if it and its metadata are whole and of the job's scrape.
func (w *Writer) findSame(j *job) (int64, error) {
	dir := os.DirFS(w.o.Dir)
	found, _, err := archive.Read(dir, j.paths.Dir)
	if err != nil {
		return 0, err
	}
	if !found.SameScrape(j.metadata) || found.Epoch != j.metadata.Epoch || found.Schema != j.metadata.Schema {
		return 0, fmt.Errorf("it holds another scrape, generation %d of run %d with time %d; this one is generation %d of run %d with time %d",
			found.Generation, found.Run, found.Time, j.metadata.Generation, j.metadata.Run, j.metadata.Time)
	}
	info, err := fs.Stat(dir, j.paths.Data)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// isGone reports whether what had the job's place has left it: an old scrape may be removed at any moment. The batch is tried
// again then.
func (w *Writer) isGone(j *job) bool {
	_, err := os.Lstat(filepath.Join(w.o.Dir, j.paths.Dir))
	return errors.Is(err, fs.ErrNotExist)
}

// isContent tells an error that says what lies on the disk from one of the disk.
func isContent(err error) bool {
	var fromDisk *fs.PathError
	if !errors.As(err, &fromDisk) {
		return true
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}
