package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/expo"
)

// maxText bounds the text of one scrape, in bytes: several times that of 500,000 series.
const maxText = 1 << 30

// ErrMisplaced is wrapped by the error of Read for a scrape that lies where another one belongs.
var ErrMisplaced = errors.New("the metadata of a scrape that belongs")

// Legacy reports whether the older server has written the metadata, which says nothing of epoch, generation and schema.
func (m *Metadata) Legacy() bool { return m.Epoch == 0 && m.Schema.IsZero() }

// Read reads the scrape in a directory of fsys, which is named by the scrape's epoch, and checks that it is whole: both files are
// there and readable to their end, the metadata is that of a scrape which belongs in this directory, and the data has as
// many samples as it says. What the metadata of older files doesn't say is not checked.
func Read(fsys fs.FS, dir string) (*Metadata, []expo.Sample, error) {
	epoch, err := parseEpoch(dir)
	if err != nil {
		return nil, nil, err
	}
	p := pathsIn(path.Dir(dir), epoch)
	m, err := readMetadata(fsys, p.Metadata)
	if err != nil {
		return nil, nil, err
	}
	text, err := readText(fsys, p.Data)
	if err != nil {
		return nil, nil, err
	}
	samples, err := expo.ReadText(text, m.Common)
	if err != nil {
		return nil, nil, fmt.Errorf("archive: %s: %w", p.Data, err)
	}
	if err := m.check(p, len(samples)); err != nil {
		return nil, nil, err
	}
	return m, samples, nil
}

// check checks that the metadata belongs in a directory and to a number of samples.
func (m *Metadata) check(p Paths, samples int) error {
	if m.Legacy() {
		return nil
	}
	if want := ScrapePaths(m.Target, m.Epoch); want != p {
		return fmt.Errorf("archive: %s is %w in %s", p.Metadata, ErrMisplaced, want.Dir)
	}
	if m.Samples != samples {
		return fmt.Errorf("archive: %s has %d samples, its metadata says %d", p.Data, samples, m.Samples)
	}
	return nil
}

func readMetadata(fsys fs.FS, name string) (*Metadata, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	m, err := DecodeMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func readText(fsys fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("archive: %s: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("archive: %s: %w", name, err)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("archive: %s: text exceeds %d bytes", name, maxText)
	}
	return text, nil
}
