//go:build !linux

package volume

import "math"

// newSyncer returns what makes changes durable.
func newSyncer(string, bool) (syncer, error) { return eachFile{}, nil }

// spread has nothing to ask for here.
func spread(string) {}

// freeSpace is not known here: a full disk shows when it is written to.
func freeSpace(string) (int64, error) { return math.MaxInt64, nil }

// renameNew renames a directory to a place that must be free.
func renameNew(from, to string) error { return renameIfFree(from, to) }

// exchange swaps two directories.
func exchange(a, b string) error { return exchangeInSteps(a, b) }
