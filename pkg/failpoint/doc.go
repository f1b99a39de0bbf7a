// Package failpoint names the moments at which a test can end the process.
//
// Hit(name) stands before and after each durable effect. In normal builds it is nothing: the compiler removes it with its
// arguments. In builds with the tag "failpoints" the process kills itself there, with SIGKILL, if the environment variable
// ZSTATS_FAILPOINT says so:
//
//	NAME           at the first hit
//	NAME#3         at the third
//	NAME+50ms      so much later; until then the goroutine that hit it stands still, and all others go on
//	NAME#3+50ms    both
//
// Names has all names. A test compares it with the places in the code, and a name that is not among them ends a tagged build
// with a panic, so that a walk over Names misses nothing.
package failpoint
