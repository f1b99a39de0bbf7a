// Package subscribe follows the events of a notifier without losing its place.
//
// A Client subscribes (service zstats.v1.Notifier) and hands on what arrives, as Updates: events, gaps, and the ups and downs
// of the connection. When the connection is lost, or the notifier ends the subscription because it stops, the client
// connects again, waiting longer from time to time, and resumes behind the last sequence that it saw: every event comes
// once, in order. Errors that no repetition cures, such as a wrong token, end it.
package subscribe
