// Package notifier tells consumers over gRPC about each scrape that lies on disk.
//
// The writer publishes one ScrapeWritten event for each scrape in the stream EVENTS, after its files are durable. A
// subscription (service zstats.v1.Notifier, proto/zstats/v1/notifier.proto) is a walk over that stream: from now on, from a
// sequence or from a time, of one account or of all that the caller may see, of the targets that match a pattern. In goes a
// SubscribeRequest; out come Started, then the events, each with the sequence behind which to resume.
//
// # A slow consumer slows nobody
//
// Each subscription has a reader of its own with a bounded buffer. gRPC's flow control stops the sending to a consumer that
// doesn't read, this stops its reader, and the stream keeps what is left. Nothing waits for consumers: neither the writer
// nor the trimming of EVENTS.
//
// # What is missing is said
//
// EVENTS is trimmed from its beginning. When a subscription asks for what is gone, or falls so far behind that events are
// removed under it, it gets a Gap with the sequences between which events may be missing. Whether the stream was trimmed
// past a subscription is asked after a message was read and before it is sent, at most once a second, so a gap is reported
// conservatively: events inside it may have arrived all the same, no loss goes unreported.
//
// # Ends
//
// A subscription ends when its caller leaves, with UNAVAILABLE when the notifier stops or the log can't be read, so that
// clients connect again and resume, and with another code where the caller has to change something.
package notifier
