// Package assembler is the stage that rebuilds scrapes: it folds the blobs of RAW into states and publishes each new state,
// which is one scrape whole, in SCRAPES.
//
// # The model
//
// A target's state is its last message in SCRAPES. The assembler keeps the states of targets that it has seen lately in
// memory, bounded by bytes, and reads others back when a blob of the target arrives; so a restart or a takeover needs nothing
// but the log. The fold itself is scrape.State.Apply: it decides what is a duplicate, what follows and what does not.
//
// In come batches of RAW's messages, from the partition runner (bus.Worker). Each message is folded on top of the states that
// the batch has led to so far, since those in the log are older and the memory may not have kept them. Out go the states, which
// the runner commits together with the checkpoints of the partitions. Before that, the assembler makes durable what goes
// beside them: schemas, dead letters and resync marks. If that fails, the batch fails and comes again.
//
// The same input gives the same states to the last byte, whoever folds it and however it is cut into batches. All that is
// stored comes from the input and the state before; no clock is asked.
//
// # Schemas
//
// A state names its schema by hash. The schema is published in SCHEMAS before the first state that names it, and again when a
// scrape is more than a period past the last publication; the state says when that was. For an incremental blob it is read
// back from SCHEMAS, or found in the full blob in RAW. If it is in neither, the target is asked for a full blob.
//
// # What can't be folded
//
// A blob that does not follow, because RAW lacks what it follows, or that contradicts itself goes to DEAD with the reason; so
// does, as it is, a message that can't be decoded, names another target than its subject does, or makes the fold panic. Nothing
// of it holds up other messages. The target is then marked: a mark in the bucket event.ResyncBucket makes ingest ask for a full
// blob that comes after the marked message. Until that comes, the chain behind the missing blob goes to DEAD as well, each
// blob as it arrives, and the target is not marked again, unless the mark no longer counts: RAW has a full blob behind it that
// was not accepted, or the chain goes on for so long that the mark must be lost. A target is marked also when a difference
// fits no value, when its schema is lost, and, for strict accounts, when a value is not proven.
//
// A batch that is repeated after a failed commit may publish schemas, marks and dead letters again. Schemas and marks are the
// same then; copies of a dead letter are told by event.HeaderRawSequence.
package assembler
