// Package reading finds scrapes in a directory of files and compares them: what `zstats ls`, `cat` and `diff` show.
//
// The model: a Tree is a directory of files (package archive) as a person asks for it. Find turns a name as people type it
// into one target, or into an error that says which ones it may mean. Epochs and Pick choose among a target's scrapes by their
// names alone, which are epochs; so what is read grows with what is shown, not with what is kept. Compare tells two scrapes
// apart, series by series; it is pure.
//
// Scrapes may come and go meanwhile. A scrape that is gone when it is read is an error that wraps fs.ErrNotExist.
package reading
