// Package bus moves messages: it is the only user of NATS JetStream in zstats.
//
// A Bus is a connection to one JetStream, embedded (Server) or external. On it there are
//
//   - Append: several messages in one atomic batch, durable or not there at all. An Appender merges the messages of many
//     callers into such batches, so that the number of fsyncs does not grow with the number of messages.
//   - Last, Get and Read: the last message of a subject, the message with a sequence, and an ordered Reader over a stream.
//     They ask the stream's leader.
//   - Bucket: small key-value state with a time to live, watched by its users.
//   - Worker: the partition runner. It takes its share of the partitions of a Stage, reads each in order, hands the messages
//     to a Processor and commits what comes out together with the checkpoints, exactly once.
//
// A message larger than one message may be travels as parts in front of it, in the same batch, and is joined again when it is
// read; callers don't see them. Should parts be missing, a worker's Processor gets the message marked, and can bury it.
//
// # Exactly once
//
// The last message on a partition's checkpoint subject says how much input is done and who works on the partition. Whoever
// takes a partition, and every commit, publishes a new checkpoint under the condition that the last one is the one it
// knows. So of two workers that both believe to own a partition only one can commit, a worker that was paused or cut off
// commits nothing, and a checkpoint that was read stale is found out before anything is built on it. Outputs and
// checkpoints are one atomic batch. After an outcome that is unknown, a worker forgets its state and takes its partitions
// anew: whether the batch is there decides where it goes on.
package bus
