package checker

import (
	"errors"
	"io/fs"

	"github.com/zstats/zstats/pkg/archive"
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
