package zstatsv1

import "strings"

const (
	// Strings are packed into pieces of memory that grow from firstPiece to lastPiece bytes; longer ones stand alone.
	firstPiece = 512
	lastPiece  = 8 << 10
	// maxInterned bounds the table, which takes several times the memory of a short string. Later strings are copied each.
	maxInterned = 1 << 18
	// keepInterned is how many strings a table may have had to be used again: clearing takes as long as it was large.
	keepInterned = 1 << 13
)

// interner turns bytes into strings, the same bytes into the same string. Its strings stay valid after a reset.
type interner struct {
	table map[string]string
	piece strings.Builder
	next  int // bytes of the next piece
}

// reset forgets all strings.
func (in *interner) reset() {
	if in.table == nil || len(in.table) > keepInterned {
		in.table = make(map[string]string)
	} else {
		clear(in.table)
	}
	in.piece.Reset()
	in.next = firstPiece
}

// string returns b as a string.
func (in *interner) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := in.table[string(b)]; ok {
		return s
	}
	s := in.copy(b)
	if len(in.table) < maxInterned {
		in.table[s] = s
	}
	return s
}

// like returns b as a string, and is quick when b equals last, a string that was returned before.
func (in *interner) like(last string, b []byte) string {
	if last == string(b) {
		return last
	}
	return in.string(b)
}

func (in *interner) copy(b []byte) string {
	if len(b) > firstPiece/4 {
		return string(b)
	}
	if in.piece.Cap()-in.piece.Len() < len(b) {
		in.piece.Reset()
		in.piece.Grow(in.next)
		in.next = min(2*in.next, lastPiece)
	}
	at := in.piece.Len()
	in.piece.Write(b)
	return in.piece.String()[at:]
}

// arena hands out zeroed slices that all end with the next reset.
type arena[T any] struct {
	chunk []T
	taken int
}

const (
	firstChunk = 256
	lastChunk  = 1 << 14
	// keepChunk is the largest chunk that outlives a reset.
	keepChunk = 1 << 16
)

// take returns n zero elements.
func (a *arena[T]) take(n int) []T {
	at := len(a.chunk)
	if n > cap(a.chunk)-at {
		a.chunk = make([]T, 0, max(n, min(2*cap(a.chunk), lastChunk), firstChunk))
		at = 0
	}
	a.taken += n
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n : at+n]
}

// reset takes all elements back. If they needed more than one chunk, the next ones get a chunk for as many.
func (a *arena[T]) reset() {
	switch {
	case a.taken > keepChunk || cap(a.chunk) > keepChunk:
		a.chunk = nil
	case a.taken > cap(a.chunk):
		a.chunk = make([]T, 0, a.taken)
	default:
		clear(a.chunk)
		a.chunk = a.chunk[:0]
	}
	a.taken = 0
}
