// Package render turns states into the files of their scrapes.
//
// The model: a Renderer takes a state, finds its schema prepared in Schemas, and returns Files, which are a function of the
// target, the state and the schema alone. So the writer and a replay give the same bytes. Schemas keeps what it has prepared,
// bounded by bytes; what it lacks it reads from the log, from SCHEMAS or from the full blob in RAW.
//
// A scrape that can't be rendered, now or later, is a Refusal, and concerns no other scrape. Errors of the log are LogErrors.
package render
