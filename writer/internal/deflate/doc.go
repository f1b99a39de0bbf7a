// Package deflate compresses texts of which all but a few places are known beforehand.
//
// A text exposition is such a text: from scrape to scrape only the values change, some ten bytes of each line. A Model is
// made once from what does not change. It knows the repetitions in there and has Huffman codes for them, so that for each
// text only the values are left to be encoded, and the distances of the repetitions, which move with the lengths of the
// values between them. It gives a gzip stream (RFC 1952) of one deflate block (RFC 1951) that any reader reads.
//
// It takes half the time of a fast compressor that sees the text for the first time, and the result has about the same size:
// what is saved is the search for repetitions.
//
// The package is pure. The same model and text give the same bytes.
package deflate
