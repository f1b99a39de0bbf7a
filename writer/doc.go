// Package writer is the stage that turns scrapes into files, and tells of each one.
//
// In come the messages of SCRAPES: one scrape each, its values and the hash of its schema. Out go, for each, two files in
// a directory of their own (package archive says which and what is in them) and a message in EVENTS. A scrape that can't
// be written, now or later, becomes a message in DEAD instead, with the reason.
//
// # One batch
//
// The worker of package bus hands over a batch of scrapes of the partitions that this writer owns. Several are rendered,
// compressed and staged at a time. Then the whole batch is made durable with one syncfs, each scrape's directory is
// renamed to its place, and a second syncfs makes the names durable (package volume). Only then do the events go out,
// in one atomic batch with the checkpoints. So a directory that can be seen is whole, an event speaks of files that
// survive a crash, and the number of syncs grows with the batches, not with the scrapes.
//
// # Again
//
// A batch whose checkpoint was not stored comes again, here or in another writer. The same scrape gives the same path and
// the same bytes; where the directory is there already and its metadata names the same scrape, the work is done. What else
// is found there is left untouched, and the scrape becomes a dead letter.
//
// # Schemas
//
// A schema is prepared once (expo.Template) and kept in a cache bounded by bytes. One that the cache lacks is read from
// SCHEMAS and, should it be missing there, from the full blob in RAW. Its hash is checked in either case.
package writer
