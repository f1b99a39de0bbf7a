package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// AccountDir returns the directory of an account.
func AccountDir(account string) string { return escape(account) }

// ParseAccountDir returns the account that a directory belongs to. It fails for a name that AccountDir never returns.
func ParseAccountDir(dir string) (string, error) {
	account, err := unescape(dir)
	if err == nil && AccountDir(account) != dir {
		err = fmt.Errorf("account %q belongs in %q", account, AccountDir(account))
	}
	if err != nil {
		return "", fmt.Errorf("archive: %q is no account's directory: %w", dir, err)
	}
	return account, nil
}

// AccountDirs lists the directories of accounts, by name. Whatever begins with a dot is left out.
func AccountDirs(fsys fs.FS) ([]string, error) {
	return directories(fsys, ".", func(name string) bool { return !strings.HasPrefix(name, ".") })
}

// TargetDirs lists the directories of an account's targets, those without a source first, by name.
func TargetDirs(fsys fs.FS, accountDir string) ([]string, error) {
	names, err := directories(fsys, accountDir, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var targets, sources []string
	for _, name := range names {
		if strings.HasPrefix(name, sourceMark) {
			sources = append(sources, accountDir+"/"+name)
		} else {
			targets = append(targets, accountDir+"/"+name)
		}
	}
	for _, source := range sources {
		names, err := directories(fsys, source, func(string) bool { return true })
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			targets = append(targets, source+"/"+name)
		}
	}
	return targets, nil
}

// directories lists the directories in dir. One that is gone meanwhile has none.
func directories(fsys fs.FS, dir string, want func(name string) bool) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil && (dir == "." || !errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("archive: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && want(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Epochs lists the epochs of a target's scrapes, ascending. It reads names only. A directory that is gone meanwhile has none.
func Epochs(fsys fs.FS, targetDir string) ([]int64, error) {
	names, err := namesIn(fsys, targetDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("archive: %w", err)
	}
	epochs := make([]int64, 0, len(names))
	for _, name := range names {
		if epoch, err := parseEpoch(name); err == nil {
			epochs = append(epochs, epoch)
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// namesIn lists the names in a directory, in no order: a file of the operating system needs not even the kinds of its entries.
func namesIn(fsys fs.FS, dir string) ([]string, error) {
	f, err := fsys.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if lister, ok := f.(interface{ Readdirnames(n int) ([]string, error) }); ok {
		return lister.Readdirnames(-1)
	}
	entries, err := fs.ReadDir(fsys, dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// PathsIn returns where the scrape with an epoch lies in a target's directory.
func PathsIn(targetDir string, epoch int64) Paths { return pathsIn(targetDir, epoch) }

// TargetOf returns the target that a directory belongs to. If its name is a hash, the metadata of one of its scrapes is asked,
// and the error wraps ErrHashed if it has none.
func TargetOf(fsys fs.FS, targetDir string) (scrape.Target, error) {
	t, err := ParseTargetDir(targetDir)
	if !errors.Is(err, ErrHashed) {
		return t, err
	}
	epochs, listErr := Epochs(fsys, targetDir)
	if listErr != nil {
		return t, listErr
	}
	for _, epoch := range slices.Backward(epochs) {
		m, readErr := readMetadata(fsys, pathsIn(targetDir, epoch).Metadata)
		if readErr == nil && TargetDir(m.Target) == targetDir {
			return m.Target, nil
		}
	}
	return t, err
}

// ReadMetadata reads the metadata of a scrape and checks that it belongs there.
func ReadMetadata(fsys fs.FS, p Paths) (*Metadata, error) {
	m, err := readMetadata(fsys, p.Metadata)
	if err != nil {
		return nil, err
	}
	return m, m.check(p, m.Samples)
}

// ReadText reads the text of a scrape's data file.
func ReadText(fsys fs.FS, p Paths) ([]byte, error) { return readText(fsys, p.Data) }

// Sizes are those of a scrape's files, in bytes.
type Sizes struct{ Data, Metadata int64 }

// Total returns the size of both.
func (s Sizes) Total() int64 { return s.Data + s.Metadata }

// Stat returns the sizes of a scrape's files.
func Stat(fsys fs.FS, p Paths) (Sizes, error) {
	var s Sizes
	for name, size := range map[string]*int64{p.Data: &s.Data, p.Metadata: &s.Metadata} {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return Sizes{}, fmt.Errorf("archive: %w", err)
		}
		*size = info.Size()
	}
	return s, nil
}
