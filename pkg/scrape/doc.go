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
package scrape
