// Package archive says where scrapes lie on disk and what their metadata says.
//
// The model: below a root directory every target has a directory, and in it every scrape one that is named by its epoch and
// holds two files: <epoch>.json, the Metadata, and <epoch>.data.gz, the samples as text (package expo).
//
//	<account>/<target>/<epoch>/<epoch>.json
//	<account>/@<source>/<target>/<epoch>/<epoch>.json
//
// TargetDir and ScrapePaths turn a target and an epoch into paths, ParseTargetDir turns a directory back into its target.
// No two targets share a directory. Paths are relative to the root and have slashes, as io/fs has them.
//
// Scrapes lists a tree, Read reads one scrape and checks that its files belong to each other and to their place. Both take an
// fs.FS; everything else in the package is pure. Names that begin with a dot are none of any target: TempDir is where writers
// prepare what appears whole.
package archive
