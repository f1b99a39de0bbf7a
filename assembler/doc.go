// Package assembler is the stage that rebuilds scrapes: it folds the blobs of RAW into states and publishes each new state,
// which is one scrape whole, in SCRAPES.
//
// # The model
//
// A target's state is its last message in SCRAPES. The assembler keeps recent states in memory, bounded by bytes, and reads
// others back when a blob of the target arrives, so a restart or a takeover needs nothing but the log. The fold itself is
// scrape.State.Apply; it decides duplicates, what follows and what does not.
//
// A state's schema is published in SCHEMAS, durably, before the batch with the first scrape that names it is committed, and
// again when a scrape is a period past the last publication; the state says when that was, so no clock is asked.
//
// # What can't be folded
//
// An incremental blob whose predecessor is not there, and a message that can't be decoded or makes the fold panic, go to DEAD
// with a reason, durably, before the batch is committed. The target is then marked for a resync: ingest asks it for a full
// blob. Until that comes, the chain behind the missing blob goes to DEAD as well, each blob as it arrives. Everything else
// goes on.
//
// A step that is repeated after a failed commit may publish a schema, a mark or a dead letter again. Schemas and marks
// are the same then; a dead letter of a target is left out if its last one is of the same message of RAW or a later one.
package assembler
