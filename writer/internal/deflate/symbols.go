package deflate

import "math/bits"

// The limits and alphabets of RFC 1951, section 3.2.
const (
	minMatch      = 3
	maxMatch      = 258
	maxDistance   = 1 << 15
	maxCodeLength = 15

	endOfBlock    = 256
	literalCodes  = 286 // literals, the end of the block, and lengths
	distanceCodes = 30
)

// lengthSymbol returns the symbol of a match's length, and the extra bits behind its code.
func lengthSymbol(length int) (symbol int, extra uint32, n uint8) {
	if length == maxMatch {
		return literalCodes - 1, 0, 0
	}
	l := uint32(length - minMatch)
	if l < 8 {
		return endOfBlock + 1 + int(l), 0, 0
	}
	n = uint8(bits.Len32(l) - 3)
	return endOfBlock + 1 + 4*int(n) + int(l>>n), l & (1<<n - 1), n
}

// distanceSymbol returns the symbol of a match's distance, and the extra bits behind its code.
func distanceSymbol(distance int) (symbol int, extra uint32, n uint8) {
	d := uint32(distance - 1)
	if d < 4 {
		return int(d), 0, 0
	}
	n = uint8(bits.Len32(d) - 2)
	return 2*int(n) + int(d>>n), d & (1<<n - 1), n
}
