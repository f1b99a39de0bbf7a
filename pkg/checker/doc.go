// Package checker judges a run of the pipeline: it knows what was sent and how each blob was answered, reads what was written,
// notified and buried in the dead letters, and reports every difference.
//
// Compare is pure. Book collects what was sent, Ledger does so in a file, Tree reads the files, Events asks a notifier, LoggedEvents
// and DeadLetters read the log. What is not given is not judged: without anything sent, the files and events are still checked against themselves.
//
// # What is compared
//
// A scrape is compared by digests, so that a run of any length can be judged: of its labels, values to the last bit, times and
// their order; and of all of these but the values. A scrape with inferred values must have the second digest, and if the values
// that were sent are known, at most as many of them may differ as are inferred. A collector that runs the server's fold
// beside it is held to the first digest whatever is inferred (Sent.Exact).
//
// Order is judged by what a client can know. If a blob was acknowledged before another one of its target was sent for the first
// time, its epoch is the lower one; and generation n+1 comes behind generation n. The order of two blobs that were on their
// way at the same time is not known. Events ascend by epoch within a target, unless they are late (Notified.Late).
//
// # The ledger's format
//
// A ledger is a file of JSON objects, one a line, that is only ever appended to. Each opening of the file writes a line with the
// version of the format, 1, and the time in milliseconds since the Unix epoch; readers refuse other versions:
//
//	{"ledger":1,"opened_ms":1795333095000}
//
// A blob has a line for each attempt to send it, written before the request leaves. The first one says what the blob is:
//
//	{"sent":{"account":"acme","source":"","target":"h:1.j","generation":7,"time_ms":1000,"digest":"…","shape":"…","exact":true,
//	 "values":"…"}}
//
// The digests are in hexadecimal. The values are float64, little endian, in base64; exact and values are optional. Account and
// source are empty where the sender knows only its token; whoever reads the ledger fills them in. Further attempts need only the
// account, source, target and generation; the first description counts. An answer has a line of its own:
//
//	{"answer":{"account":"acme","source":"","target":"h:1.j","generation":7,"code":0}}
//
// The code is the wire's: 0 for stored, anything else for refused. An attempt without a line for its answer had none that says.
// Unknown keys are ignored, and so is a last line without its end, which a crash may leave; the next opening ends it.
package checker
