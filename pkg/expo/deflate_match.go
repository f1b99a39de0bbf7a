package expo

import (
	"encoding/binary"
	"math/bits"
)

// token is a literal, or a match whose bytes and source are both static (RFC 1951, section 2).
type token struct {
	at     int32 // where in the static text
	length int32 // 1 for a literal
	source int32 // where in the static text the match's bytes stand before
	piece  int32 // the piece that it lies in
	from   int32 // the source's piece
}

const (
	// maxValue is the longest text of a value, in bytes. A match counts with this one for each value that it reaches back
	// across, so that only times of their own can carry its source out of reach.
	maxValue = 24
	// worthwhile is the shortest match that is looked for: one of three bytes rarely takes fewer bits than its literals.
	worthwhile = 4
	// bitsOfLiteral and bitsOfMatch are about how many bits a literal takes, and the codes of a match.
	bitsOfLiteral = 5
	bitsOfMatch   = 9
	// attempts is how many places with the same four bytes are tried at most.
	attempts = 48
	// goodMatch is a length with which the search ends.
	goodMatch = 96
	hashBits  = 15
	// maxOffset is how far inside a piece a match with a source in an earlier one may begin, which has 16 bits in an op.
	maxOffset = 1<<16 - 1
)

// matcher finds what of the static text stands in it before. It searches with hash chains, and looks one byte further
// before it takes a match (RFC 1951, section 4).
type matcher struct {
	text   []byte
	ends   []int32 // of the pieces
	pieces []int32 // the piece of each byte
	head   []int32 // by hash: the last place with these bytes, plus 1
	prev   []int32 // by place: the place before with the same hash, plus 1
	added  int     // the places before this one are in the chains
}

// findTokens cuts the pieces of a text into tokens. A match lies within one piece, and so does its source.
func findTokens(text []byte, ends []int32) []token {
	m := &matcher{
		text: text, ends: ends,
		pieces: make([]int32, len(text)),
		head:   make([]int32, 1<<hashBits),
		prev:   make([]int32, len(text)),
	}
	start := int32(0)
	for i, end := range ends {
		for ; start < end; start++ {
			m.pieces[start] = int32(i)
		}
	}
	tokens := make([]token, 0, len(text)/8)
	last := token{length: 1}
	for at := 0; at < len(text); {
		t := m.best(at)
		if c := m.continued(&last, at); c.length > 1 && c.gain()+bitsOfMatch+4 > t.gain() {
			t = c
		} else if t.length > 1 && t.length < goodMatch && m.sameAfter(at) {
			if later := m.best(at + 1); later.gain() > t.gain() {
				t = token{at: int32(at), length: 1, piece: t.piece}
			}
		}
		tokens = append(tokens, t)
		at += int(t.length)
		last = t
	}
	return tokens
}

// continued returns the match at the beginning of a piece whose source is the beginning of the piece behind the last match's
// source, or a literal. If the values between are equal, it and the last match become one (see planEncoder.held).
func (m *matcher) continued(last *token, at int) token {
	piece := m.pieces[at]
	t := token{at: int32(at), length: 1, piece: piece}
	source := last.source + last.length
	if last.length == 1 || last.piece == piece || source != m.ends[last.from] || last.from+1 == piece {
		return t
	}
	from := last.from + 1
	limit := min(int(m.ends[piece])-at, maxMatch)
	if n := m.common(int(source), at, limit, from); n >= worthwhile && at-int(source)+maxValue*int(piece-from) <= maxDistance {
		t.length, t.source, t.from = int32(n), source, from
	}
	return t
}

// sameAfter reports whether the byte after a place belongs to the same piece.
func (m *matcher) sameAfter(at int) bool {
	return at+1 < len(m.text) && m.pieces[at+1] == m.pieces[at]
}

// best returns the longest match at a place, and the nearest of several, or a literal.
func (m *matcher) best(at int) token {
	m.addBefore(at)
	piece := m.pieces[at]
	t := token{at: int32(at), length: 1, piece: piece}
	limit := min(int(m.ends[piece])-at, maxMatch)
	if limit < worthwhile {
		return t
	}
	offset := at
	if piece > 0 {
		offset -= int(m.ends[piece-1])
	}
	place := m.head[m.hash(at)]
	for tries := attempts; place > 0 && tries > 0 && t.length < goodMatch; tries-- {
		source := int(place - 1)
		place = m.prev[source]
		from := m.pieces[source]
		if at-source+maxValue*int(piece-from) > maxDistance || offset > maxOffset && from != piece {
			break
		}
		if n := m.common(source, at, limit, from); n >= worthwhile && gain(n, at-source) > t.gain() {
			t.length, t.source, t.from = int32(n), int32(source), from
		}
	}
	return t
}

// gain returns about how many bits a match takes fewer than its literals, not counting the codes of length and distance.
func gain(length, distance int) int {
	return bitsOfLiteral*length - bits.Len(uint(distance))
}

func (t *token) gain() int {
	if t.length == 1 {
		return bitsOfMatch
	}
	return gain(int(t.length), int(t.at-t.source))
}

// common returns how many bytes at two places are equal, at most limit, and none beyond the source's piece.
func (m *matcher) common(source, at, limit int, from int32) int {
	if m.pieces[at] != from {
		limit = min(limit, int(m.ends[from])-source)
	}
	n := 0
	for ; n+8 <= limit; n += 8 {
		a, b := binary.LittleEndian.Uint64(m.text[source+n:]), binary.LittleEndian.Uint64(m.text[at+n:])
		if a != b {
			return n + bits.TrailingZeros64(a^b)/8
		}
	}
	for n < limit && m.text[source+n] == m.text[at+n] {
		n++
	}
	return n
}

// hash returns the hash of the four bytes at a place.
func (m *matcher) hash(at int) uint32 {
	const multiplier = 0x9e3779b1 // 2^32 divided by the golden ratio
	return binary.LittleEndian.Uint32(m.text[at:]) * multiplier >> (32 - hashBits)
}

// addBefore puts all places before the given one into the chains.
func (m *matcher) addBefore(at int) {
	for ; m.added < at && m.added+worthwhile <= len(m.text); m.added++ {
		h := m.hash(m.added)
		m.prev[m.added] = m.head[h]
		m.head[h] = int32(m.added + 1)
	}
}
