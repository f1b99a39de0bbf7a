package expo

// op writes bits, then the distance of a match if it has one.
type op struct {
	bits uint64
	// across is how many pieces before its own the source of the match lies; 0 means that there is no match. A match within
	// its piece always has the same distance, so that it is nothing but bits.
	across uint16
	// back is how many static bytes lie between the match and its source.
	back uint16
	// offset is where in its piece the match begins, length how long it is, less minMatch.
	offset uint16
	length uint8
	n      uint8 // of bits, at most maxPut
}

// opBytes is the most that an op takes in the stream, with its distance, in bytes.
const opBytes = (maxPut + maxCodeBits + 13 + 7) / 8

// opBuilder makes operations. Bits that nothing separates share one.
type opBuilder struct {
	ops  []op
	bits uint64
	n    uint
}

// put adds the n bits of v.
func (b *opBuilder) put(v uint64, n uint) {
	if b.n+n > maxPut {
		b.flush()
	}
	b.bits |= v << b.n
	b.n += n
}

func (b *opBuilder) putCode(c code) { b.put(c.bits(), c.len()) }

// flush ends the operation that bits are put into.
func (b *opBuilder) flush() {
	if b.n > 0 {
		b.add(op{})
	}
}

// add adds an operation with the bits that were put.
func (b *opBuilder) add(o op) {
	o.bits, o.n = b.bits, uint8(b.n)
	b.ops = append(b.ops, o)
	b.bits, b.n = 0, 0
}
