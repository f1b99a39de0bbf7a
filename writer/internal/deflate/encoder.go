package deflate

import "bytes"

// Encoder is the memory that Append works in. The zero Encoder is ready; it may be used again and again, by one goroutine.
type Encoder struct {
	m      *Model
	w      bitWriter
	text   []byte
	at     int     // how much of text is encoded
	moved  []int32 // by piece: how many bytes of values precede it
	values [valueSlots]int32
	zeros  int // where the last zeros begin, or -1
}

// zeros is how most values end.
const zeros = ".000000\n"

// valueSlots is how many recent values are remembered, by hash.
const valueSlots = 256

func (e *Encoder) begin(m *Model, dst, text []byte) {
	e.m, e.text, e.at, e.zeros = m, text, 0, -1
	e.w = m.start
	e.w.buf = append(dst, m.start.buf...)
	e.w.at = len(e.w.buf)
	e.w.buf = e.w.buf[:cap(e.w.buf)]
	if cap(e.moved) < len(m.ends) {
		e.moved = make([]int32, len(m.ends))
	}
	e.moved = e.moved[:len(m.ends)]
	for i := range e.values {
		e.values[i] = -1
	}
}

// run encodes piece by piece, with the values between them.
func (e *Encoder) run() bool {
	start, firstOp := int32(0), int32(0)
	moved := int32(0)
	for piece, end := range e.m.ends {
		e.moved[piece] = moved
		constant := e.m.text[start:end]
		if !bytes.HasPrefix(e.text[e.at:], constant) || !e.constant(e.m.ops[firstOp:e.m.opEnds[piece]], moved) {
			return false
		}
		e.at += len(constant)
		if piece == len(e.m.ends)-1 {
			break
		}
		n := bytes.IndexByte(e.text[e.at:], '\n') + 1
		if n == 0 || !e.value(e.text[e.at:e.at+n]) {
			return false
		}
		e.at += n
		moved += int32(n)
		start, firstOp = end, e.m.opEnds[piece]
	}
	return e.at == len(e.text)
}

// constant encodes a piece before which moved bytes of values stand.
func (e *Encoder) constant(ops []op, moved int32) bool {
	w := e.w // in registers
	for i := range ops {
		o := &ops[i]
		w.put(o.bits, uint(o.n))
		if !o.match {
			continue
		}
		d := int(o.back) + int(moved-e.moved[o.piece])
		if d > maxDistance {
			return false // values are longer than values are
		}
		c := e.m.distance(d)
		w.put(c.bits, uint(c.length))
	}
	e.w = w
	return true
}

// value encodes a value with its line break: as one that came before, or with the zeros of one before at its end, or as it
// is.
func (e *Encoder) value(v []byte) bool {
	slot := &e.values[hashValue(v)]
	last := int(*slot)
	*slot = int32(e.at)
	rounded := bytes.HasSuffix(v, []byte(zeros))
	if last >= 0 && e.at-last <= maxDistance && len(v) >= worthwhile && len(v) <= longestValue && bytes.HasPrefix(e.text[last:], v) {
		if rounded {
			e.zeros = e.at + len(v) - len(zeros)
		}
		e.match(len(v), e.at-last)
		return true
	}
	if !rounded {
		return e.literally(v)
	}
	at, before := e.at+len(v)-len(zeros), e.zeros
	e.zeros = at
	if before < 0 || at-before > maxDistance {
		return e.literally(v)
	}
	if !e.literally(v[:len(v)-len(zeros)]) {
		return false
	}
	e.match(len(zeros), at-before)
	return true
}

func hashValue(v []byte) uint8 {
	h := uint32(len(v))
	for _, c := range v[:min(len(v), 8)] {
		h = h*31 + uint32(c)
	}
	return uint8(h ^ h>>8)
}

// match encodes a match within values; the model has codes for their lengths and all distances.
func (e *Encoder) match(length, distance int) {
	c := e.m.lengths[length]
	e.w.put(c.bits, uint(c.length))
	c = e.m.distance(distance)
	e.w.put(c.bits, uint(c.length))
}

func (e *Encoder) literally(v []byte) bool {
	w := e.w
	for _, b := range v {
		c := e.m.literals[b]
		if c.length == 0 {
			return false
		}
		w.put(c.bits, uint(c.length))
	}
	e.w = w
	return true
}
