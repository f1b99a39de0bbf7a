package deflate

import (
	"encoding/binary"
	"math/bits"
)

// token is a literal or a match within the constant text.
type token struct {
	length int32 // 1 for a literal
	at     int32 // where in the constant text it stands
	piece  int32 // in which piece
	// source and sourcePiece say where a match's bytes stand before.
	source      int32
	sourcePiece int32
}

const (
	// longestValue is the longest value, with its line break, that a match reaches across for sure. No float64 is longer.
	longestValue = 25
	// typicalValue is how long a value is mostly, for the choice of codes.
	typicalValue = 10
	// worthwhile is the shortest match that is shorter than its literals.
	worthwhile = 4
	// attempts is how many places of the same four bytes are tried for the longest match.
	attempts = 4
	hashBits = 15
)

// matcher finds repetitions in the constant text. A match lies within one piece, and so does its source, because between
// pieces stand values.
type matcher struct {
	text []byte
	ends []int32
	head []int32 // by hash: the last place with these four bytes, plus one
	prev []int32 // by place: the one before, plus one
	own  []int32 // by place: its piece
}

// tokens cuts the constant text into literals and matches.
func tokens(text []byte, ends []int32) []token {
	m := matcher{text: text, ends: ends, head: make([]int32, 1<<hashBits), prev: make([]int32, len(text)), own: make([]int32, len(text))}
	all := make([]token, 0, len(text)/6)
	at := int32(0)
	for piece, end := range ends {
		for at < end {
			t := m.longest(at, int32(piece))
			all = append(all, t)
			for range t.length {
				m.add(at, int32(piece))
				at++
			}
		}
	}
	return all
}

func (m *matcher) hash(at int32) uint32 {
	return binary.LittleEndian.Uint32(m.text[at:]) * 0x9e3779b1 >> (32 - hashBits)
}

// add makes a place known as a source.
func (m *matcher) add(at, piece int32) {
	m.own[at] = piece
	if int(at)+4 <= len(m.text) {
		h := m.hash(at)
		m.prev[at] = m.head[h]
		m.head[h] = at + 1
	}
}

// longest returns the longest match at a place, or its literal.
func (m *matcher) longest(at, piece int32) token {
	best := token{length: 1, at: at, piece: piece}
	limit := min(m.ends[piece]-at, maxMatch)
	if limit < worthwhile {
		return best
	}
	source := m.head[m.hash(at)] - 1
	for range attempts {
		if source < 0 {
			break
		}
		from := m.own[source]
		if at-source+(piece-from)*longestValue > maxDistance {
			break
		}
		if n := m.common(source, at, min(limit, m.ends[from]-source)); n > best.length && n >= worthwhile {
			best.length, best.source, best.sourcePiece = n, source, from
		}
		if best.length == limit {
			break
		}
		source = m.prev[source] - 1
	}
	return best
}

// common returns how many bytes, at most limit, are the same at two places.
func (m *matcher) common(a, b, limit int32) int32 {
	n := int32(0)
	for ; n+8 <= limit; n += 8 {
		differ := binary.LittleEndian.Uint64(m.text[a+n:]) ^ binary.LittleEndian.Uint64(m.text[b+n:])
		if differ != 0 {
			return n + int32(bits.TrailingZeros64(differ)/8)
		}
	}
	for n < limit && m.text[a+n] == m.text[b+n] {
		n++
	}
	return n
}
