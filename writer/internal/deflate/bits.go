package deflate

import "encoding/binary"

// bitWriter appends bits to a slice, the first one lowest in each byte.
type bitWriter struct {
	out  []byte
	hold uint64 // bits not in out yet
	n    uint   // how many, below 8 after flush
}

// put appends at most 56 bits, of which those above n must be 0.
func (w *bitWriter) put(bits uint64, n uint) {
	w.hold |= bits << w.n
	w.n += n
	if w.n >= 8 {
		w.flush()
	}
}

// flush moves whole bytes to out.
func (w *bitWriter) flush() {
	w.out = binary.LittleEndian.AppendUint64(w.out, w.hold)
	whole := w.n / 8
	w.out = w.out[:len(w.out)-8+int(whole)]
	w.hold >>= whole * 8
	w.n %= 8
}

// finish fills the last byte with zeros and returns everything.
func (w *bitWriter) finish() []byte {
	if w.n > 0 {
		w.out = append(w.out, byte(w.hold))
	}
	return w.out
}
