// Package fold folds messages of RAW, each with one or more blobs of a target, into the target's state.
//
// What goes in: a message and the state before it. What comes out: the states that its blobs lead to, one for each scrape, what
// was refused, and whether the target must be asked for a full blob. The fold of one blob is scrape.State.Apply. A message that
// can't be folded as a whole is Poison, and concerns no other message.
//
// The assembler and a replay of the log fold by this package, so both get the same scrapes. It is pure.
package fold
