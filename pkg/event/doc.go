// Package event is the vocabulary of the log: its streams, their subjects and headers, and how messages are encoded.
//
// A message is named by the target it speaks of. Subjects carry the partition, the account and the target, so that a
// reader can ask for one of them; the full names stand in headers, because a subject's tokens are escaped and, when long,
// replaced by a hash. Payloads are protobuf (package eventpb) compressed with snappy.
//
// Package event is pure: it opens no connection. Package bus moves the messages.
package event
