// Package push tells a downstream service of each scrape that lies on disk, as the older server did: it calls
// stingestproto.StatsIngestSvc/Ingest (proto/stingestproto) for each event of the stream EVENTS.
//
// Events come from a named position, so that none is forgotten while the service or this process is away. All notifiers of one log
// share it. Delivery is at least once and in no order: the path of the data file tells a repetition, as it is that of one scrape.
//
// # What becomes of an answer
//
//   - OK: the event is acknowledged.
//   - STINVALID_REQ, INVALID_ARGUMENT: the service will never take it. It is logged, counted and acknowledged.
//   - STNOT_READY, UNAVAILABLE and the like: the service takes nothing now. Calls stop, and one at a time tries again, after pauses
//     that double up to half a minute. Meanwhile events wait in the log.
//   - STINGEST_FAILED, no answer in time, any other error: this event comes again, after pauses that double up to a minute, and
//     holds up no other, until there are as many of such as a position may have unacknowledged. What fails a thousand times while
//     the service takes others is logged, counted and acknowledged: until then it holds back what the log and the writers keep.
//
// What the log removes for its age is counted as missed.
package push
