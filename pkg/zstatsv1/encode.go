package zstatsv1

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Type definitions that every request and reply begins with, exactly as the first collectors and servers send them.
// Names of types and their numbers mean nothing to a decoder, which matches fields by name.
const (
	requestTypes = "" +
		// 64: struct of Version, Token int, string; NInsts int; IData 71.
		"\x40\x7f\x03\x01\x01\x07StWbReq\x01\xff\x80\x00\x01\x04\x01\x07Version\x01\x04\x00\x01\x05Token\x01\x0c\x00" +
		"\x01\x06NInsts\x01\x04\x00\x01\x05IData\x01\xff\x8e\x00\x00\x00" +
		// 71: slice of 65.
		"\x21\xff\x8d\x02\x01\x01\x12[]*ztypes.StWbIReq\x01\xff\x8e\x00\x01\xff\x82\x00\x00" +
		// 65: struct of Instance string; NSamples int; IsIncr bool; Gen, GTs int; Samples 69; OLabels 70.
		"\x5b\xff\x81\x03\x01\x02\xff\x82\x00\x01\x07\x01\x08Instance\x01\x0c\x00\x01\x08NSamples\x01\x04\x00" +
		"\x01\x06IsIncr\x01\x02\x00\x01\x03Gen\x01\x04\x00\x01\x03GTs\x01\x04\x00\x01\x07Samples\x01\xff\x8a\x00" +
		"\x01\x07OLabels\x01\xff\x8c\x00\x00\x00" +
		// 69: slice of 66.
		"\x22\xff\x89\x02\x01\x01\x13[]ztypes.StWbSample\x01\xff\x8a\x00\x01\xff\x84\x00\x00" +
		// 66: struct of Idx int; Ls 68; Help, Type string; Ts int; Val float.
		"\x49\xff\x83\x03\x01\x01\x0aStWbSample\x01\xff\x84\x00\x01\x06\x01\x03Idx\x01\x04\x00\x01\x02Ls\x01\xff\x88\x00" +
		"\x01\x04Help\x01\x0c\x00\x01\x04Type\x01\x0c\x00\x01\x02Ts\x01\x04\x00\x01\x03Val\x01\x08\x00\x00\x00" +
		// 68: slice of 67.
		"\x15\xff\x87\x02\x01\x01\x06Labels\x01\xff\x88\x00\x01\xff\x86\x00\x00" +
		// 67: struct of Name, Value string.
		"\x26\xff\x85\x03\x01\x01\x05Label\x01\xff\x86\x00\x01\x02\x01\x04Name\x01\x0c\x00\x01\x05Value\x01\x0c\x00\x00\x00" +
		// 70: slice of string.
		"\x16\xff\x8b\x02\x01\x01\x08[]string\x01\xff\x8c\x00\x01\x0c\x00\x00"
	requestType = 64

	responseTypes = "" +
		// 72: struct of Version, MinPollSecs int; Err string; NInsts int; IErrCodes 73.
		"\x54\xff\x8f\x03\x01\x01\x08StWbResp\x01\xff\x90\x00\x01\x05\x01\x07Version\x01\x04\x00" +
		"\x01\x0bMinPollSecs\x01\x04\x00\x01\x03Err\x01\x0c\x00\x01\x06NInsts\x01\x04\x00\x01\x09IErrCodes\x01\xff\x92\x00" +
		"\x00\x00" +
		// 73: slice of int.
		"\x14\xff\x91\x02\x01\x01\x06[]int8\x01\xff\x92\x00\x01\x04\x00\x00"
	responseType = 72
)

// AppendRequest appends the gob value of r to dst. NInsts is written as the number of instances, whatever r.NInsts says.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = append(dst, requestTypes...)
	dst, start := beginMessage(dst, requestType)
	e := encoder{buf: dst, at: -1}
	e.int(0, int64(r.Version))
	e.string(1, r.Token)
	e.int(2, int64(len(r.IData)))
	if e.slice(3, len(r.IData)) {
		for i := range r.IData {
			e.buf = appendInstance(e.buf, &r.IData[i])
		}
	}
	return endMessage(e.end(), start)
}

func appendInstance(dst []byte, v *Instance) []byte {
	e := encoder{buf: dst, at: -1}
	e.string(0, v.Instance)
	e.int(1, int64(v.NSamples))
	e.bool(2, v.IsIncr)
	e.int(3, v.Gen)
	e.int(4, v.GTs)
	if e.slice(5, len(v.Samples)) {
		for i := range v.Samples {
			e.buf = appendSample(e.buf, &v.Samples[i])
		}
	}
	if e.slice(6, len(v.OLabels)) {
		for _, name := range v.OLabels {
			e.buf = appendString(e.buf, name)
		}
	}
	return e.end()
}

func appendSample(dst []byte, v *Sample) []byte {
	e := encoder{buf: dst, at: -1}
	e.int(0, int64(v.Idx))
	if e.slice(1, len(v.Ls)) {
		for i := range v.Ls {
			e.buf = appendLabel(e.buf, &v.Ls[i])
		}
	}
	e.string(2, v.Help)
	e.string(3, v.Type)
	e.int(4, v.Ts)
	e.float(5, v.Val)
	return e.end()
}

func appendLabel(dst []byte, v *Label) []byte {
	e := encoder{buf: dst, at: -1}
	e.string(0, v.Name)
	e.string(1, v.Value)
	return e.end()
}

// AppendResponse appends the gob value of r to dst. NInsts is written as the number of codes, whatever r.NInsts says:
// a reply with fewer codes than it announces ends a collector.
func AppendResponse(dst []byte, r *Response) []byte {
	dst = append(dst, responseTypes...)
	dst, start := beginMessage(dst, responseType)
	e := encoder{buf: dst, at: -1}
	e.int(0, int64(r.Version))
	e.int(1, int64(r.MinPollSecs))
	e.string(2, r.Err)
	e.int(3, int64(len(r.IErrCodes)))
	if e.slice(4, len(r.IErrCodes)) {
		for _, code := range r.IErrCodes {
			e.buf = appendInt(e.buf, int64(code))
		}
	}
	return endMessage(e.end(), start)
}

// maxUint is the most bytes of an unsigned integer.
const maxUint = 9

// beginMessage leaves room for the message's length and writes its type.
func beginMessage(dst []byte, id int64) (out []byte, start int) {
	start = len(dst)
	return appendInt(append(dst, make([]byte, maxUint)...), id), start
}

// endMessage puts the length in front of the message that begins at start.
func endMessage(dst []byte, start int) []byte {
	body := dst[start+maxUint:]
	size := len(body)
	dst = appendUint(dst[:start], uint64(size))
	return append(dst, body...) // moves down, by at most maxUint-1 bytes
}

// encoder writes the fields of one struct. Fields that are zero don't travel.
type encoder struct {
	buf []byte
	at  int // number of the last field written
}

// field writes the step to a field.
func (e *encoder) field(number int) {
	e.buf = append(e.buf, byte(number-e.at))
	e.at = number
}

// end closes the struct.
func (e *encoder) end() []byte { return append(e.buf, 0) }

func (e *encoder) bool(number int, v bool) {
	if v {
		e.field(number)
		e.buf = append(e.buf, 1)
	}
}

func (e *encoder) int(number int, v int64) {
	if v != 0 {
		e.field(number)
		e.buf = appendInt(e.buf, v)
	}
}

// float writes negative zero too, which encoding/gob would drop.
func (e *encoder) float(number int, v float64) {
	if b := math.Float64bits(v); b != 0 {
		e.field(number)
		e.buf = appendUint(e.buf, bits.ReverseBytes64(b))
	}
}

func (e *encoder) string(number int, v string) {
	if v != "" {
		e.field(number)
		e.buf = appendString(e.buf, v)
	}
}

// slice begins a slice of n elements and reports whether there are any to write.
func (e *encoder) slice(number, n int) bool {
	if n == 0 {
		return false
	}
	e.field(number)
	e.buf = appendUint(e.buf, uint64(n))
	return true
}

func appendString(dst []byte, s string) []byte {
	return append(appendUint(dst, uint64(len(s))), s...)
}

func appendInt(dst []byte, v int64) []byte {
	return appendUint(dst, uint64(v<<1)^uint64(v>>63))
}

func appendUint(dst []byte, x uint64) []byte {
	if x < 0x80 {
		return append(dst, byte(x))
	}
	var b [maxUint]byte
	binary.BigEndian.PutUint64(b[1:], x)
	skip := bits.LeadingZeros64(x) / 8
	b[skip] = byte(skip - 8) // the negated number of bytes
	return append(dst, b[skip:]...)
}
