package archive

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// TempDir is the directory below the root where writers prepare files. It holds no scrapes.
const TempDir = ".tmp"

// What a scrape's files have behind the epoch.
const (
	metadataSuffix = ".json"
	dataSuffix     = ".data.gz"
)

// sourceMark begins the directory of a source. No target's directory begins with it.
const sourceMark = "@"

// ErrHashed is wrapped by the error of ParseTargetDir for a name that was too long to be written out.
var ErrHashed = errors.New("name is a hash and can't be turned back")

// Paths says where one scrape lies, relative to the root.
type Paths struct {
	Dir      string
	Metadata string
	Data     string
}

// TargetDir returns the directory of a target: "<account>/<target>" or "<account>/@<source>/<target>".
func TargetDir(t scrape.Target) string {
	account, name := escape(t.Account), escapeTarget(t.Name)
	if t.Source == "" {
		return account + "/" + name
	}
	return account + "/" + sourceMark + escape(t.Source) + "/" + name
}

// ScrapePaths returns where a target's scrape with the given epoch lies.
func ScrapePaths(t scrape.Target, epoch int64) Paths { return pathsIn(TargetDir(t), epoch) }

func pathsIn(targetDir string, epoch int64) Paths {
	name := strconv.FormatInt(epoch, 10)
	dir := targetDir + "/" + name
	return Paths{Dir: dir, Metadata: dir + "/" + name + metadataSuffix, Data: dir + "/" + name + dataSuffix}
}

// ParseTargetDir returns the target that a directory belongs to. It fails for a path that TargetDir never returns, and
// with ErrHashed for one that has a hash in it; then the scrape's metadata has the name.
func ParseTargetDir(dir string) (scrape.Target, error) {
	t, err := parseTargetDir(dir)
	if err == nil && TargetDir(t) != dir {
		err = fmt.Errorf("target %s belongs in %q", t, TargetDir(t))
	}
	if err != nil {
		return scrape.Target{}, fmt.Errorf("archive: %q is no target's directory: %w", dir, err)
	}
	return t, nil
}

func parseTargetDir(dir string) (t scrape.Target, err error) {
	parts := strings.Split(dir, "/")
	if len(parts) == 3 && strings.HasPrefix(parts[1], sourceMark) {
		if t.Source, err = unescape(parts[1][len(sourceMark):]); err != nil {
			return t, err
		}
		if t.Source == "" {
			return t, errors.New("source has no name")
		}
		parts = []string{parts[0], parts[2]}
	}
	if len(parts) != 2 {
		return t, errors.New("it must be account/target or account/@source/target")
	}
	if t.Account, err = unescape(parts[0]); err != nil {
		return t, err
	}
	t.Name, err = unescapeTarget(parts[1])
	return t, err
}

// parseEpoch returns the epoch that names a scrape's directory.
func parseEpoch(dir string) (int64, error) {
	name := path.Base(dir)
	epoch, err := strconv.ParseInt(name, 10, 64)
	if err != nil || strconv.FormatInt(epoch, 10) != name {
		return 0, fmt.Errorf("archive: %q is no scrape's directory: its name is no epoch", dir)
	}
	return epoch, nil
}
