// Package checker judges a run of the pipeline: it knows what was sent and how each blob was answered, reads what was written
// and notified, and reports every difference.
//
// What was sent and what was found are compared by digests of the samples, so that a run of any length can be judged. Compare
// is pure; Tree reads a directory of files.
package checker
