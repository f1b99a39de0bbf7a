package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// ErrForeign is wrapped by the errors of Scrapes for files and directories that have no place in a tree of scrapes.
var ErrForeign = errors.New("has no place among scrapes")

// Place is where a scrape was found.
type Place struct {
	// TargetDir is the target's directory; see ParseTargetDir.
	TargetDir string
	Epoch     int64
	Paths
}

// Scrapes lists the scrapes of a tree in the order of account, source (none first), target and epoch, names in the order
// of their escaped form. It looks at directories only: whether a scrape is whole, Read tells. What can't be listed or doesn't
// belong there is passed as an error with a Place that has only a Dir, and the listing goes on. Whatever begins with a dot
// at the root, like TempDir, is left out.
func Scrapes(fsys fs.FS) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		w := walker{fsys: fsys, yield: yield}
		w.root()
	}
}

// walker lists a tree. Its methods report whether the listing goes on.
type walker struct {
	fsys  fs.FS
	yield func(Place, error) bool
}

func (w *walker) root() bool {
	return w.each(".", func(name string) bool {
		return strings.HasPrefix(name, ".") || w.account(name)
	})
}

func (w *walker) account(dir string) bool {
	var sources []string
	ok := w.each(dir, func(name string) bool {
		if strings.HasPrefix(name, sourceMark) {
			sources = append(sources, dir+"/"+name)
			return true
		}
		return w.target(dir + "/" + name)
	})
	for _, source := range sources {
		ok = ok && w.each(source, func(name string) bool { return w.target(source + "/" + name) })
	}
	return ok
}

func (w *walker) target(dir string) bool {
	var places []Place
	ok := w.each(dir, func(name string) bool {
		epoch, err := parseEpoch(dir + "/" + name)
		if err != nil {
			return w.foreign(dir + "/" + name)
		}
		places = append(places, Place{TargetDir: dir, Epoch: epoch, Paths: pathsIn(dir, epoch)})
		return true
	})
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.Epoch, b.Epoch) })
	for _, p := range places {
		ok = ok && w.yield(p, nil)
	}
	return ok
}

// each calls next with each directory in dir, by name.
func (w *walker) each(dir string, next func(name string) bool) bool {
	entries, err := fs.ReadDir(w.fsys, dir)
	if err != nil && !w.yield(Place{Paths: Paths{Dir: dir}}, fmt.Errorf("archive: %w", err)) {
		return false
	}
	for _, e := range entries {
		switch {
		case e.IsDir():
			if !next(e.Name()) {
				return false
			}
		case dir == "." && strings.HasPrefix(e.Name(), "."):
		default:
			if !w.foreign(strings.TrimPrefix(dir+"/"+e.Name(), "./")) {
				return false
			}
		}
	}
	return true
}

func (w *walker) foreign(name string) bool {
	return w.yield(Place{Paths: Paths{Dir: name}}, fmt.Errorf("archive: %q %w", name, ErrForeign))
}
