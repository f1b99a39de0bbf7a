package expo

import (
	"math"
	"strconv"
)

const (
	// maxInteger bounds the values that are written with six decimals: above it neighbouring doubles are more than 1 apart.
	maxInteger = 1 << 53
	// maxMillionths bounds the products v*1e6 whose nearest integer is certain: what v differs from n/1e6, times 1e6, and the
	// rounding of the product are together less than one half.
	maxMillionths = 1 << 51
)

// AppendValue appends a sample's value: with six decimals if these parse back to the same float64 and |v| < 2^53, else in
// the shortest form that does. NaN, +Inf and -Inf are written so; a NaN's payload is lost.
func AppendValue(dst []byte, v float64) []byte {
	if n := int64(v); float64(n) == v && -maxInteger < n && n < maxInteger {
		if n == 0 && math.Signbit(v) {
			dst = append(dst, '-')
		}
		dst = strconv.AppendInt(dst, n, 10)
		return append(dst, ".000000"...)
	}
	if n := math.Round(v * 1e6); math.Abs(n) < maxMillionths {
		// n and 1e6 are exact, so n/1e6 is the double that the decimal number n/1e6 parses to.
		if n/1e6 == v {
			return appendMillionths(dst, int64(n))
		}
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return appendLarge(dst, v)
}

// appendMillionths appends n/1e6 with six decimals.
func appendMillionths(dst []byte, n int64) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	dst = strconv.AppendInt(dst, n/1e6, 10)
	// The leading 1 keeps the zeros; the point takes its place.
	point := len(dst)
	dst = strconv.AppendInt(dst, 1e6+n%1e6, 10)
	dst[point] = '.'
	return dst
}

// appendLarge is AppendValue for what is too large for the arithmetic there, or not finite.
func appendLarge(dst []byte, v float64) []byte {
	if math.Abs(v) < maxInteger {
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', 6, 64)
		if back, err := strconv.ParseFloat(string(dst[start:]), 64); err == nil && back == v {
			return dst
		}
		dst = dst[:start]
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
