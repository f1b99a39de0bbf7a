package expo

import (
	"encoding/binary"
	"slices"
)

// maxPut is how many bits can be put at once.
const maxPut = 56

// bitWriter writes bits, the first one into the lowest of a byte (RFC 1951, section 3.1.1).
type bitWriter struct {
	buf  []byte // as long as its capacity
	at   int    // whole bytes written
	hold uint64 // the bits behind them
	n    uint   // how many, fewer than 8
}

// reset makes the writer append to dst.
func (w *bitWriter) reset(dst []byte) {
	*w = bitWriter{buf: dst[:cap(dst)], at: len(dst)}
}

// reserve makes room for n bytes and for what put writes ahead.
func (w *bitWriter) reserve(n int) {
	if n += 8; len(w.buf)-w.at < n {
		w.buf = slices.Grow(w.buf[:w.at], n)
		w.buf = w.buf[:cap(w.buf)]
	}
}

// put writes the n lowest bits of v, at most maxPut. The others must be 0, and there must be room.
func (w *bitWriter) put(v uint64, n uint) {
	hold := w.hold | v<<(w.n&7)
	total := w.n + n
	binary.LittleEndian.PutUint64(w.buf[w.at:], hold)
	w.at += int(total >> 3)
	w.hold = hold >> (total &^ 7 & 63)
	w.n = total & 7
}

// finish fills the last byte with zeros and returns what was written.
func (w *bitWriter) finish() []byte {
	w.put(0, -w.n&7)
	return w.buf[:w.at]
}
