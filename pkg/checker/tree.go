package checker

import (
	"errors"
	"io/fs"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
)

// Tree reads all scrapes of a directory of files. What can't be read as one whole scrape is among the result with an Err.
func Tree(files fs.FS) []Written {
	all := []Written{}
	for place, err := range archive.Scrapes(files) {
		if err != nil {
			all = append(all, Written{Path: place.Dir, Err: err})
			continue
		}
		w := read(files, place)
		if _, err := fs.Stat(files, place.Dir); w.Err != nil && errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile, for its age
		}
		all = append(all, w)
	}
	return all
}

// Later adds the scrapes to written that events speak of and that came to lie on disk after the others were read, as on a
// running system.
func Later(files fs.FS, written []Written, notified []Notified) []Written {
	type key struct {
		target scrape.Target
		epoch  int64
	}
	known := make(map[key]bool, len(written))
	for _, w := range written {
		known[key{w.Target, w.Epoch}] = true
	}
	for _, e := range notified {
		k := key{e.Target, e.Epoch}
		if known[k] {
			continue
		}
		known[k] = true
		place := archive.Place{TargetDir: archive.TargetDir(e.Target), Epoch: e.Epoch, Paths: archive.ScrapePaths(e.Target, e.Epoch)}
		if w := read(files, place); w.Err == nil {
			written = append(written, w)
		}
	}
	return written
}

func read(files fs.FS, place archive.Place) Written {
	m, samples, err := archive.Read(files, place.Dir)
	if err != nil {
		w := Written{Path: place.Dir, Epoch: place.Epoch, Err: err}
		w.Target, _ = archive.ParseTargetDir(place.TargetDir) // where the name is a hash, the path has to say it all
		return w
	}
	c := contentOfSamples(samples, m.Time)
	w := Written{
		Target:     m.Target,
		Generation: m.Generation,
		Time:       m.Time,
		Epoch:      place.Epoch,
		Digest:     c.digest,
		Shape:      c.shape,
		Inferred:   m.Inferred,
		Legacy:     m.Legacy(),
		Path:       place.Dir,
	}
	if m.Inferred > 0 {
		w.Values = c.values
	}
	return w
}
