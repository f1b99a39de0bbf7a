package expo

import (
	"bytes"
	"encoding/binary"
)

// planEncoder splices values into a plan. It may be used again, by one goroutine at a time.
type planEncoder struct {
	w    bitWriter
	text []byte
	at   int    // where in text the next piece or value begins
	b    *block // of the piece or of the value behind it
	// moved has for each piece so far how many bytes of values precede it.
	moved []int32
	// held is the last match if nothing was written behind it: what follows may lengthen it.
	held match
	// seen has where values stand that were encoded, by hash, plus 1.
	seen [seenValues]int32
}

// match is a repetition (RFC 1951, section 3.2.5); without length, none.
type match struct{ length, distance int }

const (
	// valueBytes is the most that a value and a time take in the stream, in bytes: each character has at most 15 bits.
	valueBytes = 2 * (maxValue + len(" 9223372036854775807"))
	// matchBytes is the most that a match takes.
	matchBytes = (maxCodeBits + 5 + maxCodeBits + 13 + 7) / 8
	// seenValues is how many values are remembered.
	seenValues = 256
	// repeatedValue is the shortest value that is looked for among those seen.
	repeatedValue = len("0" + zeros)
)

// encode appends the deflate stream of a text that the plan's template rendered.
func (e *planEncoder) encode(dst []byte, p *deflatePlan, text []byte) []byte {
	e.w.reset(dst)
	e.text, e.at, e.moved, e.held = text, 0, e.moved[:0], match{}
	clear(e.seen[:])
	start, static, blocks := int32(0), 0, p.blocks
	for i, piece := range p.pieces {
		e.w.reserve(opBytes*int(piece.ops-start) + 2*int(piece.length) + valueBytes + 2*matchBytes)
		if i == int(blocks[0].end) {
			e.release()
			blocks = blocks[1:]
		}
		e.b = &blocks[0]
		e.moved = append(e.moved, int32(e.at-static))
		e.piece(p.ops[start:piece.ops], int(piece.length))
		start = piece.ops
		static += int(piece.length)
		e.at += int(piece.length)
		if i < len(p.pieces)-1 {
			e.value()
		}
	}
	e.text, e.b = nil, nil
	return e.w.finish()
}

// piece encodes the last piece in moved.
func (e *planEncoder) piece(ops []op, length int) {
	last := len(e.moved) - 1
	moved := e.moved[last]
	for i := range ops {
		o := &ops[i]
		if o.across == 0 {
			e.release()
			e.w.put(o.bits, uint(o.n))
			continue
		}
		m := match{int(o.length) + minMatch, int(o.back) + int(moved-e.moved[last-int(o.across)])}
		ends := int(o.offset)+m.length == length
		if e.held.length > 0 {
			merged := o.offset == 0 && e.merge(m)
			if !merged || !ends {
				e.release()
			}
			if merged {
				continue
			}
		}
		e.match(o, m, ends)
	}
}

// merge lets the held match go on with the one at e.at, if their bytes stand one behind the other where the former reads.
func (e *planEncoder) merge(m match) bool {
	length := e.held.length + m.length
	if length > maxMatch {
		return false
	}
	if m.distance != e.held.distance {
		source := e.text[e.at-e.held.distance:]
		if !bytes.Equal(source[:m.length], e.text[e.at:][:m.length]) {
			return false
		}
	}
	e.held.length = length
	return true
}

// match encodes an op with its match, but holds the match back if it ends the piece.
func (e *planEncoder) match(o *op, m match, ends bool) {
	switch {
	case m.distance > maxDistance:
		e.beforeMatch(o)
		e.literals(e.text[e.at+int(o.offset):][:m.length])
	case ends:
		e.beforeMatch(o)
		e.held = m
	default:
		e.putMatch(o.bits, uint(o.n), m.distance)
	}
}

// beforeMatch writes the bits of an op without those of its match's length.
func (e *planEncoder) beforeMatch(o *op) {
	n := uint(o.n) - e.b.lengths[o.length].len()
	e.w.put(o.bits&(1<<n-1), n)
}

// release writes the match that is held.
func (e *planEncoder) release() {
	if e.held.length == 0 {
		return
	}
	c := e.b.lengths[e.held.length-minMatch]
	e.putMatch(c.bits(), c.len(), e.held.distance)
	e.held.length = 0
}

// putMatch writes n bits that end with a match's length, then its distance.
func (e *planEncoder) putMatch(v uint64, n uint, distance int) {
	symbol, extra, more := distanceSymbol(distance)
	c := e.b.distances[symbol]
	d := c.bits() | uint64(extra)<<c.len()
	more += c.len()
	if n+more > maxPut {
		e.w.put(v, n)
		v, n = 0, 0
	}
	e.w.put(v|d<<n, n+more)
}

func (e *planEncoder) literals(text []byte) {
	for _, char := range text {
		e.w.put(e.b.literals[char].bits(), e.b.literals[char].len())
	}
}

// value encodes the value at e.at, with its time if it has one, and goes behind it.
func (e *planEncoder) value() {
	text := e.text[e.at:]
	text = text[:bytes.IndexByte(text, '\n')]
	n := 0
	if e.held.length > 0 {
		n = e.lengthen(text)
	}
	slot := &e.seen[valueSlot(text)]
	if n < len(text) && e.repeat(int(*slot)-1, text, n) {
		n = len(text)
	}
	*slot = int32(e.at + 1)
	e.at += len(text)
	if n < len(text) {
		e.release()
		e.spell(text[n:])
	}
}

// lengthen lets the held match go on with as much of a value as it repeats, and returns how much that is.
func (e *planEncoder) lengthen(text []byte) int {
	source := e.text[e.at-e.held.distance:]
	limit := min(len(text), maxMatch-e.held.length)
	n := 0
	for n < limit && source[n] == text[n] {
		n++
	}
	e.held.length += n
	return n
}

// repeat makes a value that was perhaps seen at a place a part of the held match, which has n bytes of it, or a match of its
// own, and reports whether it did.
func (e *planEncoder) repeat(from int, text []byte, n int) bool {
	before := max(e.held.length-n, 0)
	length := before + len(text)
	if from < before || e.at-from > maxDistance || length > maxMatch {
		return false
	}
	if !bytes.Equal(e.text[from-before:][:length], e.text[e.at-before:][:length]) {
		if before == 0 || n > 0 || len(text) < repeatedValue || !bytes.Equal(e.text[from:][:len(text)], text) {
			return false
		}
		e.release()
		before, length = 0, len(text)
	}
	if length < repeatedValue {
		return false
	}
	e.held = match{length, e.at - from}
	return true
}

// spell writes a value or its end as literals.
func (e *planEncoder) spell(text []byte) {
	if n := len(text) - len(zeros); n >= 0 && e.b.zerosBits > 0 && string(text[n:]) == zeros {
		e.literals(text[:n])
		e.w.put(e.b.zeros, uint(e.b.zerosBits))
		return
	}
	e.literals(text)
}

// valueSlot returns the hash of a value.
func valueSlot(text []byte) uint32 {
	const multiplier = 0x9e3779b1 // 2^32 divided by the golden ratio
	h := uint32(len(text))
	if len(text) >= 8 {
		v := binary.LittleEndian.Uint64(text)
		h += uint32(v) ^ uint32(v>>32)
	}
	return h * multiplier >> (32 - 8)
}
