// Package volume makes directories of files appear on a disk whole or not at all.
//
// A Volume is a directory. What is to appear in it is first staged: written into the process's own directory below the
// volume's temporary one, on the same file system. Publish then makes a group of staged directories durable, renames each
// to its place, and makes the renames durable. So a reader sees a directory with all its files or does not see it, and
// what Publish returned for survives a crash of the machine.
//
// # What a crash leaves
//
// Before the renames: staged directories, which the next Sweep of any process removes. Among the renames: some
// directories are in their place, whole, and the others are staged. Whoever stages the same again finds the former taken
// (Entry.Taken) and nothing half.
//
// # Several processes on one volume
//
// Each process stages in a directory with a random name, beside which lies a file that it keeps locked (flock) for as
// long as it lives. Sweep removes only directories whose lock it can take, and renames them away first: a process that
// was taken for dead wrongly, on a file system whose locks are not shared, fails instead of publishing a directory that
// has lost a file.
package volume
