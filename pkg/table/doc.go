// Package table shows rows of text: in columns for people, as JSON for machines.
//
// Write lays all rows out at once. On a terminal, of which the width is known, nothing is wider than it: the columns that may
// lose something do. Elsewhere nothing is cut, and there are no colours. JSON writes one object a line. Names come from outside,
// so whatever could drive a terminal is replaced or escaped before it gets there.
//
// The package is pure: it writes to the writer it is given.
package table
