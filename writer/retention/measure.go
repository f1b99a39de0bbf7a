package retention

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/zstats/zstats/pkg/archive"
)

// blockSize is the unit of Stat_t.Blocks, on every system.
const blockSize = 512

// measure returns what a scrape takes on disk and when it was put there. A directory keeps its time when it is renamed to its
// place, so that is when its files were made.
func measure(root string, p archive.Paths) (bytes int64, written time.Time, err error) {
	for _, name := range []string{p.Dir, p.Data, p.Metadata} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil {
			return 0, written, err
		}
		if name == p.Dir {
			written = info.ModTime()
		}
		bytes += onDisk(info)
	}
	return bytes, written, nil
}

// onDisk returns the bytes that a file's blocks take; where the system doesn't say, the file's size.
func onDisk(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(stat.Blocks) * blockSize
	}
	return info.Size()
}
