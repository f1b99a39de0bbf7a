// Package collector scrapes targets and ships their scrapes to a zstats server, by the wire of package zstatsv1.
//
// The model. Each target has a scraper, which reads what the target exposes on a fixed grid of times, and a chain, which
// makes a blob of each scrape: incremental where only values and times have changed, else full. The blobs of all targets
// wait in one queue, in the order in which they were made. A single sender takes them from its front in batches and
// keeps a batch until the server has answered for every blob in it, so a target's blobs arrive in order whatever fails.
//
// In go a list of targets, the server's address and a token (Options). Out go HTTP requests, metrics and log lines.
//
// # Exact
//
// Differences of floats do not always add up to the value they were made from. So the chain runs the server's fold
// (scrape.State.Apply) on each incremental blob, and sends the full one instead whenever the outcome is not, bit for bit,
// what the target said, or could not be sent as a difference at all. The server may mark some of the values that arrive
// as inferred although they are right; Options.Proven avoids that too, for the price of far more full blobs.
//
// # What may be lost
//
// A scrape that fails, is empty or cannot be parsed to its end sends nothing. A scrape for which the queue has no room is
// refused before it becomes part of the chain: it uses up no generation, and the next one is sent as the difference to the
// last one that was taken. So an outage longer than the queue loses the newest scrapes, a gap that ends when the server is
// back, and what waits is never torn. With a buffer directory what waits goes to disk before anything is refused, and
// what was not delivered when the collector stops is sent after it has started again.
//
// What a server can't take now (503, any other 5xx, 408, 429, a lost connection or a lost answer) is sent again, as is
// what it refuses for the token (401, 403). Only a blob that the server declares unacceptable is dropped: by code 2, or
// when a request that holds nothing else is refused while the server is healthy otherwise. A blob that goes missing so
// makes the next one of its target full. Everything that is dropped is counted by reason.
//
// # Departures from the first collector
//
// HELP and TYPE belong to the family that declares them, and a change of either makes the next blob full. A code 1 beside
// a code 2 is answered. The least time between scrapes that a server asks for stays until a reply changes it. A reply with
// too few codes is a lost answer.
package collector
