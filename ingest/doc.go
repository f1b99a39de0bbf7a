// Package ingest takes what collectors send and puts it into the log.
//
// # The model
//
// A request holds blobs: scrapes of targets, full or incremental. An incremental blob is worth something only behind the
// generation before it, and only while the request is being answered can a collector be asked for the full form. So ingest
// must know each target's head: the run of generations that its last message in RAW ends, how many samples its last scrape
// has, and where the last full blob lies. The head stands in the headers of that message. Ingest keeps no other state, and
// what it remembers of heads is a cache: any number of processes may serve the same collectors.
//
// In go requests of the zstats v1 wire (package zstatsv1) over HTTP. Out come messages of RAW, one for each target of a
// request, which hold its blobs in order; dead letters for blobs that can never be accepted; and a reply with a code for each
// blob. A code 0 says that the blob is durable.
//
// # What becomes of a blob
//
// The function judge decides, from the head, the target's resync mark and the blobs, and from nothing else:
//
//   - An incremental blob without a head, or one that doesn't follow it, gets code 1, as does one that holds a difference
//     that is no number or whose structure is wrong.
//   - A blob inside the head's run gets code 0 and is not stored again, whatever its form.
//   - A full blob is stored, whatever its generation.
//   - While the last full blob lies at or before the target's resync mark, incremental blobs get code 1, even those inside the
//     run, and full ones are stored, even those inside the run: the assembler lost something and says so.
//   - Behind the first code 1 of a target every later blob of it in the request gets code 1 too. Otherwise the second round
//     would bring the earlier ones after the later ones.
//   - A blob that can never be accepted goes to DEAD and gets code 2, or 0 if the reply holds a 1, which a 2 would spoil.
//
// A request is answered only when all its messages are durable. If that fails, the answer is 503 for all of it, the collector
// keeps it and sends it again, and what was stored already is a duplicate then.
//
// # Requests for the same target at the same time
//
// Within a process they take turns: a request holds a lock for each of its targets from before it looks at their heads until
// its messages are durable and the new heads are known. The locks are taken in one order.
//
// Between processes there is no lock. A remembered head may be behind the log, because another process has appended; it is
// never ahead of it, because heads are remembered only when messages are durable and forgotten when that is not known. So:
//
//   - What lies inside a remembered run lies in the log. Code 0 without storing is right.
//   - An incremental blob that follows the remembered head follows something that lies in the log. Another process may have
//     stored the same blob, if its answer was lost; then the log holds it twice.
//   - One that doesn't follow may follow the log. Before code 1 is given because of a remembered head, the head is read from
//     the log and the blobs are judged again. A difference that is no number gets code 1 without this, since reading a head
//     that is long in no cache costs milliseconds: at worst, after a lost answer, a full blob is stored twice.
//   - A remembered sequence of the last full blob is too low at worst, which asks for a full blob too often, never too rarely.
//
// The log may hold a blob twice, then, and in rare races of a request that its collector gave up long ago, an old blob behind
// newer ones. Both are for the assembler's fold to decide, which sees the log as it is: it knows a target's last runs, drops
// what lies in them, and marks a target whose blobs it can't apply. Collectors that stay with one process spare the log a
// lookup for each target and request.
//
// All this holds for a target that one collector scrapes. Two collectors that use the same name under the same token, a pair
// of replicas for example, force each other to full blobs for ever if they share a process. If they don't, each process
// remembers the head of its own collector, stores an incremental blob that the other one's has overtaken in the log, and the
// fold can't apply it: it becomes a dead letter, although it was acknowledged, and the target is marked. Such collectors need
// tokens with different sources.
//
// # Collectors keep or drop by the answer
//
// Only 500, 503, 504 and a lost connection make a collector keep what it sent. So everything that may be better later is
// answered 503: the log takes nothing, its disk is nearly full or its answer is unknown, too much is in flight, the body didn't arrive in full. What is
// wrong with a request in itself will be wrong the next time, and a collector that kept it would send it before everything
// else for ever: such requests are refused in a reply, whose text the collector logs, and are lost. See outcome.
package ingest
