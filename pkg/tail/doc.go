// Package tail shows events in a terminal as they come, and in files and pipes.
//
// Run follows a notifier, or consumes a named position of it (package subscribe), and hands its updates to a View, of which
// there are three: Table for people at a terminal, one row an event, cut to the terminal's width; Plain, aligned but uncut, with
// exact numbers and times, for pipes; and JSON, one object a line. Names come from collectors, so whatever could drive a
// terminal is replaced before it gets there. Apart from Run the package is pure: it writes to the writer it is given and
// reads no clock.
package tail
