package expo

import (
	"slices"
	"unsafe"
)

// deflatePlan is the static text of a template compressed in advance: all that a deflate stream (RFC 1951) of a scrape holds
// but the values and the distances of matches that reach back across values. It is immutable.
//
// The values cut the static text into pieces. Each piece but the first begins with the line break of the value before it;
// the last one is only that. The pieces form blocks, each with Huffman codes of its own.
type deflatePlan struct {
	ops    []op
	pieces []piece
	blocks []block
}

// piece is what stands between two values, before the first or behind the last one.
type piece struct {
	ops    int32 // where its operations end
	length int32 // of its text
}

const (
	// blockSize is about how many bytes of text a block covers. A header takes about 100.
	blockSize = 64 << 10
	// typicalValue is about how long a value is, for the choice of codes.
	typicalValue = 9
	// maxStatic is the longest static text that is compressed in advance, in bytes.
	maxStatic = 1 << 30
)

// newDeflatePlan makes the plan of a template, or none if its text is too long for one.
func newDeflatePlan(t *Template) *deflatePlan {
	if len(t.text)+t.written >= maxStatic {
		return nil
	}
	text, ends := staticPieces(t)
	b := planBuilder{text: text, ends: ends, tokens: findTokens(text, ends), plan: new(deflatePlan)}
	for len(b.plan.pieces) < len(ends) {
		b.addBlock(b.blockEnd())
	}
	p := b.plan
	p.ops, p.pieces, p.blocks = slices.Clone(b.ops.ops), slices.Clone(p.pieces), slices.Clone(p.blocks)
	return p
}

// staticPieces returns the static text of a template and where its pieces end.
func staticPieces(t *Template) (text []byte, ends []int32) {
	text = make([]byte, 0, len(t.text)+t.written)
	ends = make([]int32, 0, t.written+1)
	start := 0
	for _, end := range t.ends {
		if end == start {
			continue
		}
		text = append(text, t.text[start:end]...)
		ends = append(ends, int32(len(text)))
		text = append(text, '\n')
		start = end
	}
	return text, append(ends, int32(len(text)))
}

// planBuilder makes a plan block by block.
type planBuilder struct {
	text   []byte
	ends   []int32
	tokens []token // that belong to no block yet
	ops    opBuilder
	plan   *deflatePlan
}

// start returns where in the text a piece begins.
func (b *planBuilder) start(piece int) int32 {
	if piece == 0 {
		return 0
	}
	return b.ends[piece-1]
}

// blockEnd returns the end of the next block's pieces. No more than a block and a half are left for the last one.
func (b *planBuilder) blockEnd() int {
	first := len(b.plan.pieces)
	size := func(from, to int) int { return int(b.start(to)-b.start(from)) + typicalValue*(to-from) }
	if size(first, len(b.ends)) < blockSize*3/2 {
		return len(b.ends)
	}
	end := first + 1
	for end < len(b.ends) && size(first, end) < blockSize {
		end++
	}
	return end
}

// addBlock adds the block of all pieces before end that have none yet.
func (b *planBuilder) addBlock(end int) {
	first, n := len(b.plan.pieces), 0
	for n < len(b.tokens) && int(b.tokens[n].piece) < end {
		n++
	}
	c := newBlockCoder(b.text, b.tokens[:n], end-first)
	b.tokens = b.tokens[n:]
	b.ops.putHeader(end == len(b.ends), c.literalBits, c.distanceBits)
	for i := first; i < end; i++ {
		b.addPiece(c, i)
	}
	b.plan.blocks = append(b.plan.blocks, c.block(end))
}

// addPiece adds a piece, and the end of the block before the first operation of the next one, or at the end of the stream.
func (b *planBuilder) addPiece(c *blockCoder, i int) {
	start := b.start(i)
	for len(c.tokens) > 0 && int(c.tokens[0].piece) == i {
		c.add(&b.ops, &c.tokens[0], start)
		c.tokens = c.tokens[1:]
	}
	last := i == len(b.ends)-1
	if last {
		b.ops.putCode(c.literals[endOfBlock])
	}
	b.ops.flush()
	b.plan.pieces = append(b.plan.pieces, piece{ops: int32(len(b.ops.ops)), length: b.ends[i] - start})
	if len(c.tokens) == 0 && !last {
		// Between the piece and the next block stands a value.
		b.ops.putCode(c.literals[endOfBlock])
	}
}

// size returns how many bytes of memory the plan holds.
func (p *deflatePlan) size() int {
	if p == nil {
		return 0
	}
	return int(unsafe.Sizeof(*p)) + cap(p.ops)*int(unsafe.Sizeof(op{})) +
		cap(p.pieces)*int(unsafe.Sizeof(piece{})) + cap(p.blocks)*int(unsafe.Sizeof(block{}))
}
