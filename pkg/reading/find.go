package reading

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/table"
)

// ErrNotFound is wrapped by the errors of Find and Account for a name that nothing has, ErrAmbiguous by those for one that
// several targets have.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("ambiguous")
)

// Tree is a directory of files.
type Tree struct{ FS fs.FS }

// Target is a target that has a directory.
type Target struct {
	scrape.Target
	Dir string
}

// Name returns the target's name within its account: NAME or @SOURCE/NAME.
func (t Target) Name() string {
	if t.Source == "" {
		return t.Target.Name
	}
	return "@" + t.Source + "/" + t.Target.Name
}

// Path returns the target's whole name: ACCOUNT/NAME or ACCOUNT/@SOURCE/NAME.
func (t Target) Path() string { return t.Account + "/" + t.Name() }

// Accounts lists the names of all accounts, by name. Directories that are no account's are left out.
func (t Tree) Accounts() ([]string, error) {
	dirs, err := archive.AccountDirs(t.FS)
	if err != nil {
		return nil, err
	}
	var accounts []string
	for _, dir := range dirs {
		account, ok, err := t.accountOf(dir)
		if err != nil {
			return nil, err
		}
		if ok {
			accounts = append(accounts, account)
		}
	}
	slices.Sort(accounts)
	return accounts, nil
}

// accountOf returns the account of a directory, whose name may be a hash: then one of its targets knows.
func (t Tree) accountOf(dir string) (account string, ok bool, err error) {
	probe, err := archive.ParseTargetDir(dir + "/x")
	if err == nil {
		return probe.Account, true, nil
	}
	if !errors.Is(err, archive.ErrHashed) {
		return "", false, nil
	}
	dirs, err := archive.TargetDirs(t.FS, dir)
	if err != nil {
		return "", false, err
	}
	for _, dir := range dirs {
		if target, err := archive.TargetOf(t.FS, dir); err == nil {
			return target.Account, true, nil
		}
	}
	return "", false, nil
}

// Account returns the account with the given name, or an error that wraps ErrNotFound and says which ones are like it.
func (t Tree) Account(name string) (string, error) {
	accounts, err := t.Accounts()
	if err != nil || slices.Contains(accounts, name) {
		return name, err
	}
	return "", NotFound("account", name, accounts)
}

// Targets lists the targets of an account, those without a source first, in the order of their directories. Directories that
// are no target's are left out.
func (t Tree) Targets(account string) ([]Target, error) {
	dirs, err := archive.TargetDirs(t.FS, archive.AccountDir(account))
	if err != nil {
		return nil, err
	}
	targets := make([]Target, 0, len(dirs))
	for _, dir := range dirs {
		if target, err := archive.TargetOf(t.FS, dir); err == nil {
			targets = append(targets, Target{Target: target, Dir: dir})
		}
	}
	return targets, nil
}

// AllTargets lists the targets of all accounts.
func (t Tree) AllTargets() ([]Target, error) {
	accounts, err := t.Accounts()
	if err != nil {
		return nil, err
	}
	var all []Target
	for _, account := range accounts {
		targets, err := t.Targets(account)
		if err != nil {
			return nil, err
		}
		all = append(all, targets...)
	}
	return all, nil
}

// Find returns the one target that a name means: NAME, @SOURCE/NAME, ACCOUNT/NAME, ACCOUNT/@SOURCE/NAME or the target's directory,
// among those of an account, or of all if it is empty. A whole name counts before a part. Otherwise the error wraps
// ErrNotFound and names the targets that are like it, or ErrAmbiguous and names those that it may mean.
func (t Tree) Find(name, account string) (Target, error) {
	all, err := t.among(account)
	if err != nil {
		return Target{}, err
	}
	whole := func(t Target) bool { return name == t.Path() || name == t.Dir || account != "" && name == t.Name() }
	part := func(t Target) bool { return name == t.Name() || name == t.Target.Name }
	for _, matches := range [...]func(Target) bool{whole, part} {
		switch found := filter(all, matches); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return Target{}, ambiguous(name, found)
		}
	}
	return Target{}, NotFound("target", name, namesLike(all, name))
}

func filter(targets []Target, want func(Target) bool) (out []Target) {
	for _, t := range targets {
		if want(t) {
			out = append(out, t)
		}
	}
	return out
}

func (t Tree) among(account string) ([]Target, error) {
	if account == "" {
		return t.AllTargets()
	}
	if _, err := t.Account(account); err != nil {
		return nil, err
	}
	return t.Targets(account)
}

// namesLike returns the names of targets to compare name with: whole ones if it is one.
func namesLike(targets []Target, name string) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		if account, _, ok := strings.Cut(name, "/"); ok && account == t.Account {
			names[i] = t.Path()
		} else {
			names[i] = t.Name()
		}
	}
	return names
}

// maxNamed is how many names an error lists.
const maxNamed = 8

func ambiguous(name string, matches []Target) error {
	paths := make([]string, len(matches))
	for i, t := range matches {
		paths[i] = t.Path()
	}
	return fmt.Errorf("target %q is %w, name one of them in full:%s", name, ErrAmbiguous, list(paths))
}

// NotFound returns an error that wraps ErrNotFound and names those of the names that are like what was looked for.
func NotFound(what, name string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("%s %q %w: there are none", what, name, ErrNotFound)
	}
	near := nearest(name, names)
	if len(near) == 0 {
		return fmt.Errorf("%s %q %w, nor one like it; 'zstats ls' lists what is there", what, name, ErrNotFound)
	}
	return fmt.Errorf("%s %q %w, did you mean:%s", what, name, ErrNotFound, list(near))
}

// list returns a line for each name, of many the first. Names come from outside and go to a terminal.
func list(names []string) string {
	var b strings.Builder
	for _, n := range names[:min(len(names), maxNamed)] {
		fmt.Fprintf(&b, "\n  %s", table.Clean(n))
	}
	if more := len(names) - maxNamed; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}
