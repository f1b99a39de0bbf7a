package expo

// block has the codes for what is not known in advance.
type block struct {
	end       int32 // of its pieces
	zerosBits uint8
	zeros     uint64
	literals  [endOfBlock]code
	lengths   [maxMatch - minMatch + 1]code // of matches, with their extra bits
	distances [distanceSymbols]code
}

// blockCoder turns the tokens of one block into operations.
type blockCoder struct {
	text      []byte
	tokens    []token
	literals  []code // and lengths
	distances []code
	// The lengths of the codes.
	literalBits  []uint8
	distanceBits []uint8
}

func newBlockCoder(text []byte, tokens []token, pieces int) *blockCoder {
	c := &blockCoder{text: text, tokens: tokens}
	literals, distances := c.weights(pieces)
	c.literalBits = codeLengths(literals, maxCodeBits)
	c.distanceBits = codeLengths(distances, maxCodeBits)
	c.literals = canonicalCodes(c.literalBits)
	c.distances = canonicalCodes(c.distanceBits)
	return c
}

// weightScale is what a symbol weighs that occurs once. What only may occur weighs at least 1, so that it has a code.
const weightScale = 64

// weights returns about how often each symbol occurs.
func (c *blockCoder) weights(pieces int) (literals, distances []int) {
	literals, distances = make([]int, literalSymbols), make([]int, distanceSymbols)
	for i := range distances {
		distances[i] = 1
	}
	for char, n := range valueWeights() {
		literals[char] = n * pieces
	}
	zero, _, _ := lengthSymbol(len(zeros) - 2)
	for _, symbol := range []int{'.', '0', zero} {
		literals[symbol] += zerosWeight * pieces
	}
	distances[0] += zerosWeight * pieces
	literals[endOfBlock] += weightScale
	for symbol := endOfBlock + 1; symbol < literalSymbols; symbol++ {
		literals[symbol] += max(1, pieces/4)
	}
	for i := range c.tokens {
		c.weigh(&c.tokens[i], literals, distances)
	}
	return literals, distances
}

func (c *blockCoder) weigh(t *token, literals, distances []int) {
	if t.length == 1 {
		literals[c.text[t.at]] += weightScale
		return
	}
	symbol, _, _ := lengthSymbol(int(t.length))
	literals[symbol] += weightScale
	symbol, _, _ = distanceSymbol(int(t.at-t.source) + typicalValue*int(t.piece-t.from))
	distances[symbol] += weightScale
	// If the source is out of reach, the match becomes literals.
	for _, char := range c.text[t.at:][:t.length] {
		literals[char] = max(literals[char], 1)
	}
}

// block returns what is needed of the codes later on.
func (c *blockCoder) block(end int) block {
	out := block{end: int32(end)}
	copy(out.literals[:], c.literals)
	copy(out.distances[:], c.distances)
	for i := range out.lengths {
		out.lengths[i] = c.length(i + minMatch)
	}
	v, n := zerosBits(c.literals, c.distances)
	out.zeros, out.zerosBits = v, uint8(n)
	return out
}

// length returns the code of a match's length with its extra bits.
func (c *blockCoder) length(length int) code {
	symbol, extra, n := lengthSymbol(length)
	return c.literals[symbol].with(extra, n)
}

// add adds a token of a piece that begins at start.
func (c *blockCoder) add(b *opBuilder, t *token, start int32) {
	if t.length == 1 {
		b.putCode(c.literals[c.text[t.at]])
		return
	}
	b.putCode(c.length(int(t.length)))
	back := t.at - t.source
	if t.from == t.piece {
		symbol, extra, n := distanceSymbol(int(back))
		b.put(c.distances[symbol].bits()|uint64(extra)<<c.distances[symbol].len(), c.distances[symbol].len()+n)
		return
	}
	b.add(op{
		across: uint16(t.piece - t.from),
		back:   uint16(back),
		offset: uint16(t.at - start),
		length: uint8(t.length - minMatch),
	})
}
