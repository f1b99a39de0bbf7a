package checker

import (
	"io/fs"

	"github.com/zstats/zstats/pkg/archive"
)

// Tree reads all scrapes of a directory of files. What can't be read as one whole scrape is among the result with an Err.
func Tree(files fs.FS) []Written {
	var all []Written
	for place, err := range archive.Scrapes(files) {
		if err != nil {
			all = append(all, Written{Path: place.Dir, Err: err})
			continue
		}
		all = append(all, read(files, place))
	}
	return all
}

func read(files fs.FS, place archive.Place) Written {
	m, samples, err := archive.Read(files, place.Dir)
	if err != nil {
		return Written{Path: place.Dir, Epoch: place.Epoch, Err: err}
	}
	return Written{
		Target:     m.Target,
		Generation: m.Generation,
		Time:       m.Time,
		Epoch:      place.Epoch,
		Digest:     DigestOfSamples(samples, m.Time),
		Inferred:   m.Inferred,
		Path:       place.Dir,
	}
}
