package deflate

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"unsafe"
)

// Model knows the parts of a text that are always the same. It is immutable and safe for concurrent use.
type Model struct {
	// text has the constant pieces, one behind the other; between each and the next stands, in a text, a value with its
	// line break. ends says where they end, opEnds where the operations of each do.
	text   []byte
	ends   []int32
	ops    []op
	opEnds []int32
	// start is the beginning of every stream: whole bytes, and the bits behind them. size bounds, in bytes, what a stream
	// takes for what is constant.
	start bitWriter
	size  int

	literals  [256]code
	lengths   [maxMatch + 1]code // with their extra bits
	distances [distanceCodes]code
	end       code
}

// op writes bits that are always the same and then, if it is a match, the code of a distance.
type op struct {
	bits  uint64
	piece int32 // the source's
	// back is how many constant bytes lie between a match and its source.
	back  uint16
	n     uint8
	match bool
}

// room is how many bits an operation holds.
const room = 56

// NewModel makes a model from one of the texts that it is for, a text exposition without times. In it everything is constant
// but the values: what follows the last blank of each line that is no comment.
func NewModel(sample []byte) *Model {
	m := new(Model)
	m.cut(sample)
	all := tokens(m.text, m.ends)
	m.choose(all)
	m.translate(all)
	return m
}

// cut separates the constant pieces of a text. The last piece, which may be empty, is what follows the last value.
func (m *Model) cut(sample []byte) {
	for len(sample) > 0 {
		line := sample
		if i := bytes.IndexByte(sample, '\n'); i >= 0 {
			line = sample[:i+1]
		}
		sample = sample[len(line):]
		blank := bytes.LastIndexByte(line, ' ')
		if line[0] == '#' || blank < 0 || line[len(line)-1] != '\n' {
			m.text = append(m.text, line...)
			continue
		}
		m.text = append(m.text, line[:blank+1]...)
		m.ends = append(m.ends, int32(len(m.text)))
	}
	m.ends = append(m.ends, int32(len(m.text)))
	m.text = bytes.Clone(m.text)
}

// choose makes the codes, from how often the constant text needs each symbol and how often values are likely to.
func (m *Model) choose(all []token) {
	literals, distances := valueWeights(len(m.ends) - 1)
	for _, t := range all {
		if t.length == 1 {
			literals[m.text[t.at]] += scale
			continue
		}
		symbol, _, _ := lengthSymbol(int(t.length))
		literals[symbol] += scale
		symbol, _, _ = distanceSymbol(int(t.at - t.source + (t.piece-t.sourcePiece)*typicalValue))
		distances[symbol] += scale
	}
	codesOf := codes(literals, maxCodeLength)
	copy(m.literals[:], codesOf)
	copy(m.distances[:], codes(distances, maxCodeLength))
	m.end = codesOf[endOfBlock]
	for n := minMatch; n <= maxMatch; n++ {
		symbol, extra, bits := lengthSymbol(n)
		if c := codesOf[symbol]; c.length > 0 {
			m.lengths[n] = code{bits: c.bits | uint64(extra)<<c.length, length: c.length + bits}
		}
	}
	m.begin(codesOf)
}

// begin writes the header of gzip, without name and time (RFC 1952, section 2.3), and the block's.
func (m *Model) begin(literals []code) {
	header := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	m.start.buf = make([]byte, len(header)+3*(literalCodes+distanceCodes))
	m.start.at = copy(m.start.buf, header)
	putHeader(&m.start, literals, m.distances[:])
	m.start.buf = bytes.Clone(m.start.buf[:m.start.at])
}

// scale is the weight of one occurrence; values' symbols have parts of it.
const scale = 16

// valueWeights returns how often the values of that many lines are likely to need each symbol. Each that a value may need at
// all has a weight.
func valueWeights(lines int) (literals, distances []int) {
	literals, distances = make([]int, literalCodes), make([]int, distanceCodes)
	for i := range distances {
		distances[i] = 1
	}
	for n := minMatch; n <= longestValue; n++ {
		symbol, _, _ := lengthSymbol(n)
		literals[symbol] = 1
	}
	for _, c := range []byte("+-eInfNa 0123456789.\n") {
		literals[c] = 1
	}
	literals[endOfBlock] = 1
	for c := '0'; c <= '9'; c++ {
		literals[c] += lines * scale / 3
	}
	literals['.'] += lines * scale / 5
	literals['\n'] += lines * scale / 5
	for n := len(zeros); n <= len(zeros)+4; n++ {
		symbol, _, _ := lengthSymbol(n)
		literals[symbol] += lines * scale / 6
	}
	for symbol := 11; symbol <= 24; symbol++ { // 49 to 8,192 bytes back
		distances[symbol] += lines * scale / 20
	}
	return literals, distances
}

// translate turns tokens into operations.
func (m *Model) translate(all []token) {
	ops := make([]op, 0, len(all))
	m.opEnds = make([]int32, len(m.ends))
	m.size = len(m.start.buf)
	next := 0
	for piece := range m.ends {
		first := len(ops)
		for ; next < len(all) && int(all[next].piece) == piece; next++ {
			ops = m.addOp(ops, first, all[next])
		}
		m.opEnds[piece] = int32(len(ops))
	}
	m.ops = slices.Clip(slices.Clone(ops))
	for _, o := range m.ops {
		m.size += int(o.n)/8 + 1
		if o.match {
			m.size += 4
		}
	}
}

// addOp adds a token's bits to the last operation, if that is one of the same piece, which began at first, and has room. Only
// the distance of a match whose source is in an earlier piece is left open, and so ends the operation.
func (m *Model) addOp(ops []op, first int, t token) []op {
	c := m.literals[m.text[t.at]]
	var moves bool
	if t.length > 1 {
		c = m.lengths[t.length]
		if moves = t.sourcePiece != t.piece; !moves {
			d := m.distance(int(t.at - t.source))
			c = code{bits: c.bits | d.bits<<c.length, length: c.length + d.length}
		}
	}
	n := len(ops)
	if n == first || ops[n-1].match || ops[n-1].n+c.length > room {
		ops = append(ops, op{})
		n++
	}
	o := &ops[n-1]
	o.bits |= c.bits << o.n
	o.n += c.length
	if moves {
		o.match, o.back, o.piece = true, uint16(t.at-t.source), t.sourcePiece
	}
	return ops
}

// distance returns the code of a distance with its extra bits.
func (m *Model) distance(d int) code {
	symbol, extra, n := distanceSymbol(d)
	c := m.distances[symbol]
	return code{bits: c.bits | uint64(extra)<<c.length, length: c.length + n}
}

// Size returns how many bytes of memory the model holds.
func (m *Model) Size() int {
	return int(unsafe.Sizeof(*m)) + cap(m.text) + 4*cap(m.ends) + 4*cap(m.opEnds) + int(unsafe.Sizeof(op{}))*cap(m.ops) + cap(m.start.buf)
}

// Append appends the gzip stream of a text to dst. It returns false, and dst as it was, if the text is not of the model's kind:
// its constant pieces are others, or it has values that the model has no codes for.
func (m *Model) Append(dst, text []byte, e *Encoder) ([]byte, bool) {
	if len(text) < len(m.text) {
		return dst, false
	}
	// No literal or match of a value takes more than 15 bits a byte.
	dst = slices.Grow(dst, m.size+2*(len(text)-len(m.text))+32)
	e.begin(m, dst, text)
	if !e.run() {
		return dst, false
	}
	e.w.put(m.end.bits, uint(m.end.length))
	out := e.w.finish()
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(out, uint32(len(text))), true
}
