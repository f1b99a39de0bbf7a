// Package scrape is the domain of zstats: what a target is, what a scrape is, and how a scrape is rebuilt from what
// a collector sent of it.
//
// The nouns: a Target is one scraped endpoint of an account. A Schema is the ordered series of a scrape without their
// values. A Blob is one scrape as it travels, either full (with its schema) or incremental (only what changed since
// the previous generation). A State is what is known about one target after a blob: its last Scrape whole, and the runs
// of generations seen so far.
//
// The verb: State.Apply folds a blob into a state. It is pure. It reads no clock, touches nothing outside its arguments
// and never modifies the state it starts from, so a step may be repeated, replayed from the log or run beside a
// collector and always gives the same result.
//
// What goes in: a Blob, which may hold anything, and its Arrival. What comes out: the next State and an Outcome that says
// whether the blob was accepted, and if not, why. A collector of version 1 sends differences of floats, from which a value
// can't always be told; the values that are not proven are listed in Scrape.Inferred (see rebuild for the rule).
// Increment is the other end, the blob that a collector sends, so that a collector can foresee what its blob will give.
package scrape
