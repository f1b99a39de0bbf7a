// Package deadletter looks after the stream DEAD: it lists what could not be processed, shows it, and has it processed again
// once the cause is mended.
//
// A Letter is what one message of RAW or SCRAPES left in DEAD; copies of it, which a repeated batch leaves, count as one. A Box is
// the letters of a log. Box.List finds letters, Box.Open shows what is in one, Box.Requeue folds them again.
//
// # Requeue
//
// A letter's blobs are folded as the assembler would have folded them in their place: on the state of the target from which they
// follow, with the time at which they arrived, and so with their original epochs. That state is in SCRAPES, or is what another
// letter, requeued before, was folded to; so a chain of letters is mended in the order of RAW. The live state is not touched: the
// results go on subjects of their own (event.RequeuedSubject), which the writer reads with the partition and the assembler does not
// ask for.
//
// A requeue may end anywhere and be repeated. Each blob of each letter has its subject, and a result is published only if there is
// none on it; the letter is removed from DEAD after that. So what is published is found again, and nothing is published twice.
// A blob that the live fold has accepted in the meantime, because it was sent again, is left out.
package deadletter
