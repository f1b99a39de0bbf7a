// Package replay runs the fold and the renderer over the log again.
//
// # The model
//
// A replay has a source, RAW or SCRAPES, a span of its messages that is fixed when it begins, and a sink: a directory of files
// (Options.To), or the comparison with one (Options.Verify). From SCRAPES each message is one scrape, whole. From RAW the
// messages of each target are folded, by the same package as in the assembler, so that a replay of the whole log gives the
// files that the live run gave, to the last byte: scrapes, epochs, what is a duplicate, what is refused. What the live run
// sent to DEAD is counted here; a replay publishes nothing. It only reads the log.
//
// Messages are worked on in groups. Within a group each chain, the messages of one target, is folded in order, and different
// chains at the same time. Then the group is made durable, while the next one is worked on.
//
// # Beginning in the middle
//
// A chain that begins before the span needs the state before it (package-private type chains): the last one in SCRAPES that comes
// from a message before the span, or, should SCRAPES lack it, what folding RAW from the target's last full blob before the span
// gives. If that is gone too, the target's scrapes up to its next full blob can't be rebuilt, and the report names it.
//
// # Interrupted and resumed
//
// The directory holds a checkpoint: the span, the position in it up to which everything is durable, and, for RAW, all states
// there. A replay that was interrupted, however, goes on from there. What had been written behind the checkpoint is found in
// its place, and is the same. So is the outcome.
package replay
