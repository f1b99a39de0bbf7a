package scrape

import (
	"math"
	"strconv"
)

// shortest returns, of the doubles x with fl(x-p) == d, the one with the fewest significant decimal digits. Among equals
// it is the one nearest to c, and of two equally near the one nearer to zero. c is a member itself, the one nearest to
// p+d, and not zero.
//
// The reals that round to a member form an interval around c. So if it holds any decimal of n digits, it holds the last
// one before c or the first one behind it; and if n digits are enough, so are n+1. That makes a search by bisection over
// the number of digits, each step of which cuts the digits of c.
func shortest(c, p, d float64) float64 {
	whole := decimalOf(math.Abs(c))
	best := c
	for low, high := 1, whole.length; low < high; {
		n := (low + high) / 2
		down, up := whole.cut(n)
		if x := math.Copysign(down.float(), c); x-p == d {
			best, high = x, n
		} else if x := math.Copysign(up.float(), c); x-p == d {
			best, high = x, n
		} else {
			low = n + 1
		}
	}
	return best
}

// decimal is the number digits·10^exponent, whose digits are length many.
type decimal struct {
	digits   uint64
	exponent int
	length   int
}

// decimalOf returns the shortest decimal that parses to c, which is positive and finite. It has at most 17 digits.
func decimalOf(c float64) (x decimal) {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], c, 'e', -1, 64)
	i := 0
	for ; text[i] != 'e'; i++ {
		if text[i] != '.' {
			x.digits = x.digits*10 + uint64(text[i]-'0')
			x.length++
		}
	}
	exponent, _ := strconv.Atoi(string(text[i+1:])) // as AppendFloat wrote it
	x.exponent = exponent - (x.length - 1)
	return x
}

// cut returns the decimals of n digits next to x on either side, the nearer one first. n is less than x's length, and x
// doesn't end in a zero, so neither of them is x.
func (x decimal) cut(n int) (nearer, farther decimal) {
	dropped := x.length - n
	unit := uint64(math.Pow10(dropped)) // exact up to 10^22
	below := decimal{x.digits / unit, x.exponent + dropped, n}
	above := decimal{below.digits + 1, below.exponent, n}
	if 2*(x.digits%unit) <= unit {
		return below, above
	}
	return above, below
}

// float returns the double nearest to x, +Inf if x is too large.
func (x decimal) float() float64 {
	// A quotient or product of two exact doubles is rounded once, so it is the nearest double: W. D. Clinger, "How to read
	// floating point numbers accurately", PLDI 1990. The conversion keeps the product from being fused with what follows.
	if x.digits < 1<<53 && -22 <= x.exponent && x.exponent <= 22 {
		if x.exponent < 0 {
			return float64(x.digits) / math.Pow10(-x.exponent)
		}
		return float64(float64(x.digits) * math.Pow10(x.exponent))
	}
	var buf [32]byte
	text := strconv.AppendUint(buf[:0], x.digits, 10)
	text = strconv.AppendInt(append(text, 'e'), int64(x.exponent), 10)
	f, _ := strconv.ParseFloat(string(text), 64) // the only error is a range error, which gives +Inf
	return f
}
