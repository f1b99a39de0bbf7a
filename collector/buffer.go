package collector

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/failpoint"
)

// The names in a buffer's directory: a file of blobs, named after the order of its first one; the same being written; one
// that could not be read.
const (
	bufferSuffix  = ".blobs"
	tempSuffix    = ".tmp"
	corruptSuffix = ".corrupt"
)

// bufferFile is a file of blobs, which lives until the last of them is released.
type bufferFile struct {
	path string
	size int64
	left int // blobs that are not released; known once the file was read
}

// buffer keeps blobs in files, oldest first. A file is written whole or not at all: under another name, synced, renamed,
// and then its directory synced. It is removed once all of its blobs are released, so a collector that ends before sends
// the whole file again, and the server knows by the generations what it has already. Not for concurrent use.
type buffer struct {
	dir string
	// limit bounds the bytes of all files, chunk roughly the memory of the blobs of one file.
	limit, chunk int64
	metrics      *metrics
	log          *zap.Logger
	complaints   throttle

	unread []*bufferFile
	loaded []*pending // blobs that were read and not taken yet
	files  int        // those that exist, read or not
	bytes  int64
	last   int64 // the order in the name of the last file that an earlier collector has left
}

// openBuffer makes the directory if need be, and finds what an earlier collector has left there.
func openBuffer(dir string, limit, chunk int64, m *metrics, log *zap.Logger) (*buffer, error) {
	b := &buffer{dir: dir, limit: limit, chunk: chunk, metrics: m, log: log}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("buffer directory: %w", err)
	}
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("buffer directory: %w", err)
	}
	for _, entry := range entries {
		if err := b.find(entry); err != nil {
			return nil, fmt.Errorf("buffer directory: %w", err)
		}
	}
	return b, nil
}

func (b *buffer) find(entry fs.DirEntry) error {
	path := filepath.Join(b.dir, entry.Name())
	switch {
	case strings.HasSuffix(path, tempSuffix):
		return os.Remove(path)
	case strings.HasSuffix(path, bufferSuffix):
		info, err := entry.Info()
		if err != nil {
			return err
		}
		b.add(&bufferFile{path: path, size: info.Size()})
		order, _ := strconv.ParseInt(strings.TrimSuffix(entry.Name(), bufferSuffix), 10, 64)
		b.last = max(b.last, order)
	}
	return nil
}

func (b *buffer) add(f *bufferFile) {
	b.unread = append(b.unread, f)
	b.files++
	b.bytes += f.size
}

// store writes the first of some blobs to one file, behind those that are there. It returns how many; 0 if that fails.
func (b *buffer) store(blobs []*pending) int {
	if len(blobs) == 0 {
		return 0
	}
	n := b.cut(blobs)
	f, err := b.write(blobs[:n])
	if err != nil {
		b.complain(err)
		return 0
	}
	b.add(f)
	return n
}

// adopt writes blobs that were taken, and are older than all others here, if the first one has waited since before the
// given time. From then on they belong to their file. It returns them.
func (b *buffer) adopt(blobs []*pending, before time.Time) []*pending {
	if len(blobs) == 0 || blobs[0].since.After(before) {
		return nil
	}
	f, err := b.write(blobs)
	if err != nil {
		b.complain(err)
		return nil
	}
	f.left = len(blobs)
	b.files++
	b.bytes += f.size
	for _, p := range blobs {
		p.file = f
	}
	return blobs
}

// cut returns how many of the first blobs make one file, at least one.
func (b *buffer) cut(blobs []*pending) int {
	room := b.chunk
	for n, p := range blobs {
		if room -= p.memory(); n > 0 && room < 0 {
			return n
		}
	}
	return len(blobs)
}

var errBufferFull = errors.New("the buffer directory has reached its limit")

// write writes one file, whole or not at all.
func (b *buffer) write(blobs []*pending) (*bufferFile, error) {
	data, err := encodeBlobs(blobs)
	if err != nil {
		return nil, err
	}
	if b.bytes+int64(len(data)) > b.limit {
		return nil, fmt.Errorf("%w of %d bytes", errBufferFull, b.limit)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("%020d%s", blobs[0].order, bufferSuffix))
	if err := writeFile(path, data); err != nil {
		return nil, err
	}
	failpoint.Hit("collector.buffer.stored")
	return &bufferFile{path: path, size: int64(len(data))}, nil
}

func writeFile(path string, data []byte) (err error) {
	temp := path + tempSuffix
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	_, err = f.Write(data)
	err = cmp.Or(err, f.Sync())
	if err = cmp.Or(err, f.Close()); err != nil {
		return err
	}
	failpoint.Hit("collector.buffer.synced")
	if err = os.Rename(temp, path); err != nil {
		return err
	}
	failpoint.Hit("collector.buffer.renamed")
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// more reports whether there is something to take.
func (b *buffer) more() bool { return len(b.loaded)+len(b.unread) > 0 }

// take returns the oldest blobs, at most count, and about bytes of wire, of one file.
func (b *buffer) take(count int, bytes int64) []*pending {
	for len(b.loaded) == 0 && len(b.unread) > 0 {
		b.load()
	}
	n := prefix(b.loaded, count, bytes)
	batch := b.loaded[:n:n]
	b.loaded = b.loaded[n:]
	return batch
}

// load reads the oldest file that was not read yet. One that can't be read is set aside.
func (b *buffer) load() {
	f := b.unread[0]
	b.unread = slices.Delete(b.unread, 0, 1)
	data, err := os.ReadFile(f.path)
	if err == nil {
		b.loaded, err = decodeBlobs(data)
	}
	if err != nil || len(b.loaded) == 0 {
		b.setAside(f, err)
		return
	}
	f.left = len(b.loaded)
	for _, p := range b.loaded {
		p.file = f
	}
}

func (b *buffer) setAside(f *bufferFile, cause error) {
	b.forget(f)
	b.loaded = nil
	failpoint.Hit("collector.buffer.aside.before")
	err := os.Rename(f.path, f.path+corruptSuffix)
	failpoint.Hit("collector.buffer.aside.after")
	b.metrics.drop(dropCorrupt, 1)
	b.log.Error("a file of the buffer can't be read and is set aside; its blobs are lost",
		zap.String("file", f.path+corruptSuffix), zap.Error(errors.Join(cause, err)))
}

// release ends the life of a blob of one of the files.
func (b *buffer) release(p *pending) {
	f := p.file
	if f.left--; f.left > 0 {
		return
	}
	b.forget(f)
	failpoint.Hit("collector.buffer.remove.before")
	if err := os.Remove(f.path); err != nil {
		b.complain(err)
	}
	failpoint.Hit("collector.buffer.remove.after")
}

func (b *buffer) forget(f *bufferFile) {
	b.files--
	b.bytes -= f.size
}

func (b *buffer) complain(err error) {
	if held, ok := b.complaints.allow(time.Now()); ok {
		b.log.Error("the buffer directory can't be used", zap.String("dir", b.dir), zap.Error(err), zap.Int("suppressed", held))
	}
}
