package expo

import "math/bits"

// The alphabets and limits of deflate (RFC 1951, sections 3.2.5 to 3.2.7).
const (
	minMatch    = 3
	maxMatch    = 258
	maxDistance = 1 << 15

	endOfBlock       = 256
	literalSymbols   = 286 // literals, the end of the block, lengths
	distanceSymbols  = 30
	maxCodeBits      = 15
	codeLengthCodes  = 19
	maxCodeLengthLen = 7
)

// lengthSymbol returns the symbol of a match's length, 3 to 258, with its extra bits and their number (RFC 1951, section
// 3.2.5).
func lengthSymbol(length int) (symbol int, extra uint32, n uint) {
	if length == maxMatch {
		return literalSymbols - 1, 0, 0
	}
	v := uint32(length - minMatch)
	if v < 8 {
		return endOfBlock + 1 + int(v), 0, 0
	}
	// Each group of four symbols has one extra bit more than the group before.
	n = uint(bits.Len32(v)) - 3
	return endOfBlock + 1 + int(4*n) + int(v>>n), v & (1<<n - 1), n
}

// distanceSymbol does the same for a distance, 1 to 32,768; here groups have two symbols.
func distanceSymbol(distance int) (symbol int, extra uint32, n uint) {
	v := uint32(distance - 1)
	if v < 4 {
		return int(v), 0, 0
	}
	n = uint(bits.Len32(v)) - 2
	return int(2*n) + int(v>>n), v & (1<<n - 1), n
}
