// Package expo turns scrapes into text exposition and text exposition into scrapes.
//
// The model: a Template is a schema prepared for rendering. It knows which families the series form, which labels all
// of them share, and the bytes of each line up to its value. Appending a scrape to it copies these bytes and formats the
// values. A Parser is the way back: it reads what one target exposes, again and again, and hands out the same schema for
// as long as only the values change. ReadText reads a rendered text.
//
// What goes out is the text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), in exposition
// order, with HELP and TYPE once before a family's first sample. Both parsers of the Prometheus project read it, expfmt of
// prometheus/common and textparse of prometheus/prometheus, whatever the schema holds:
//
//   - Names that the format knows only since it takes any UTF-8 are quoted: {"my.metric", "my.label"="x"} 1.000000.
//   - A histogram or summary is declared as such if all series that a parser would count to it fit it. Otherwise each of
//     its series stands under its own name, untyped (see families).
//   - What no text can say is written as close as can be: bytes that are not UTF-8, and NUL in a name, as U+FFFD; of several
//     labels with one name the first; no label whose name is empty; a time before 1970 as 0. No parser of the text formats
//     produces a sample with any of these.
//   - HELP keeps its text, but readers drop blanks at its beginning.
//
// The text says exactly what the schema says, which a reader may still change: textparse's Labels rewrites le and quantile
// values ("1" becomes "1.0"), and expfmt keeps one time per histogram and whole numbers as its counts.
//
// The package is pure: no I/O, no clock, no goroutines.
package expo
