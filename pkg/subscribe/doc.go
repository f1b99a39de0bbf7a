// Package subscribe follows the events of a notifier without losing its place.
//
// A Client talks to the service zstats.v1.Notifier and hands on what arrives, as Updates: events, gaps, and the ups and downs
// of the connection. Follow keeps the place itself: every event comes once, in order, and how far it came is the caller's to
// remember. Consume leaves that to the notifier, under a name: events are acknowledged, and come at least once.
//
// When the connection is lost, or the notifier ends the stream because it stops, both connect again, waiting longer from time
// to time; Follow then resumes behind the last sequence that it saw. Errors that no repetition cures, such as a wrong token,
// end it.
package subscribe
