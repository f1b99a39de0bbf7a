package zstatsv1

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// cursor reads the elements of gob's encoding from one message. After the first error it stands at the end of the
// message, so that every loop ends, and reads nothing but zeros.
type cursor struct {
	data []byte // the stream up to the end of the message
	pos  int
	err  *Error
}

// fail keeps the first error.
func (c *cursor) fail(kind error, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
	}
	c.pos = len(c.data)
}

func (c *cursor) malformed(format string, args ...any) { c.fail(ErrMalformed, format, args...) }

// left returns the number of unread bytes.
func (c *cursor) left() int { return len(c.data) - c.pos }

// uint reads an unsigned integer: one byte below 128, or a byte with the negated length of the big-endian number behind.
func (c *cursor) uint() uint64 {
	p := c.pos
	if p+maxUint > len(c.data) {
		return c.lastUint()
	}
	first := c.data[p]
	if first < 0x80 {
		c.pos = p + 1
		return uint64(first)
	}
	n := -int(int8(first))
	if n > maxUint-1 {
		return c.lastUint()
	}
	c.pos = p + 1 + n
	return binary.BigEndian.Uint64(c.data[p+1:]) >> (64 - 8*uint(n))
}

// lastUint is uint near the end of the message, where no maxUint bytes are left. It reports the errors.
func (c *cursor) lastUint() uint64 {
	if c.left() == 0 {
		c.malformed(reasonEnd)
		return 0
	}
	first, tail := c.data[c.pos], c.data[c.pos+1:]
	if first < 0x80 {
		c.pos++
		return uint64(first)
	}
	n := -int(int8(first))
	switch {
	case n > maxUint-1:
		c.malformed("a number of %d bytes", n)
		return 0
	case n > len(tail):
		c.malformed(reasonEnd)
		return 0
	}
	var x uint64
	for _, b := range tail[:n] {
		x = x<<8 | uint64(b)
	}
	c.pos += 1 + n
	return x
}

// int reads a signed integer: bit 0 tells whether the others are complemented.
func (c *cursor) int() int64 {
	x := c.uint()
	return int64(x>>1) ^ -int64(x&1)
}

// intIn reads a signed integer that must lie between the bounds.
func (c *cursor) intIn(low, high int64) int64 {
	x := c.int()
	if low <= x && x <= high {
		return x
	}
	c.malformed("%d is out of range [%d, %d]", x, low, high)
	return 0
}

func (c *cursor) int8() int8   { return int8(c.intIn(math.MinInt8, math.MaxInt8)) }
func (c *cursor) int32() int32 { return int32(c.intIn(math.MinInt32, math.MaxInt32)) }

// float reads a float64, whose bits travel with the bytes reversed.
func (c *cursor) float() float64 { return math.Float64frombits(bits.ReverseBytes64(c.uint())) }

// count reads the number of elements or bytes that follow. As each takes at least one byte, no more of them can follow
// than bytes are left.
func (c *cursor) count() int {
	n := c.uint()
	if n > uint64(c.left()) {
		if n > math.MaxInt64 {
			c.malformed(reasonHuge)
		} else {
			c.malformed("%d "+reasonCount+", %d bytes left", n, c.left())
		}
		return 0
	}
	return int(n)
}

// bytes reads a counted string of bytes. The result is part of the input.
func (c *cursor) bytes() []byte {
	n := c.count()
	c.pos += n
	return c.data[c.pos-n : c.pos]
}

// field reads the step to the next field of a struct with n fields, of which field `at` (-1 at the start) was read last.
// It returns the next field's number, or -1 behind the struct's last field and after an error.
func (c *cursor) field(at, n int) int {
	var step uint64
	if c.pos < len(c.data) && c.data[c.pos] < 0x80 { // uint by hand: nothing is read as often
		step = uint64(c.data[c.pos])
		c.pos++
	} else if c.left() == 0 {
		c.malformed(reasonOpen)
	} else {
		step = c.uint()
	}
	if step-1 < uint64(n-1-at) {
		return at + int(step)
	}
	if step > 0 {
		c.malformed("field %d+%d in a struct of %d fields", at, step, n)
	}
	return -1
}
