package deflate

import "encoding/binary"

// bitWriter writes bits into a buffer, the first one lowest in each byte. The buffer has eight bytes more room than is needed.
type bitWriter struct {
	buf  []byte
	at   int    // whole bytes written
	hold uint64 // bits behind them
	n    uint   // how many, below 8
}

// put writes at most 56 bits, of which those above n must be 0.
func (w *bitWriter) put(bits uint64, n uint) {
	w.hold |= bits << w.n
	w.n += n
	binary.LittleEndian.PutUint64(w.buf[w.at:], w.hold)
	w.at += int(w.n / 8)
	w.hold >>= w.n &^ 7
	w.n &= 7
}

// finish fills the last byte with zeros and returns everything.
func (w *bitWriter) finish() []byte {
	w.put(0, -w.n&7)
	return w.buf[:w.at]
}
