package scrape

import "math"

// certainty is how much a difference says about the value behind it.
type certainty uint8

const (
	// proven: exactly one double has this difference to the previous value.
	proven certainty = iota
	// ambiguous: several have it.
	ambiguous
	// contradicted: none has it, so the previous value is not the collector's.
	contradicted
)

// rebuild returns the value c that a collector saw when it sent d, its float64 difference c - p, for the previous value
// p. d is finite.
//
// Let S be the set of doubles c with fl(c-p) == d. Rounding is monotone, so S is an interval of doubles, and as
// subtraction decides membership exactly, no bound of it needs to be known:
//
//   - S has one member if that member's two neighbours are not in S.
//   - If S has a member, then one of the two doubles around p+d is in it. The nearer of these, fl(p+d), fails only where d
//     is a power of two, because the reals that round to d reach half as far on the side of zero.
//   - S contains zero only if p == -d, hence fl(p+d) == 0; otherwise all of S has one sign.
//
// A zero difference means that the value is unchanged. That it is proven then holds up to the sign of a zero: the
// collector takes -0 and +0 for equal, and only fl(-0 - +0) tells them apart.
func rebuild(p, d float64) (float64, certainty) {
	if !isFinite(p) {
		return p, contradicted
	}
	if d == 0 {
		return unchanged(p, d), proven
	}
	c := p + d
	if c == 0 {
		return 0, ambiguous // both zeros are in S
	}
	if c-p != d {
		c = neighbour(c, c-p < d)
		if c-p != d {
			return p + d, contradicted
		}
	}
	if alone(c, p, d) {
		return c, proven
	}
	return shortest(c, p, d), ambiguous
}

// unchanged returns p with the sign that a zero difference leaves it: only -0 - +0 is -0.
func unchanged(p, d float64) float64 {
	if p == 0 && math.Signbit(d) {
		return d
	}
	return p
}

// alone reports whether neither neighbour of c, which is finite and not zero, has the difference d to p.
func alone(c, p, d float64) bool {
	bits := math.Float64bits(c)
	return math.Float64frombits(bits+1)-p != d && math.Float64frombits(bits-1)-p != d
}

// neighbour returns the double next to c, which is not zero, towards +Inf if up, else towards -Inf.
func neighbour(c float64, up bool) float64 {
	bits := math.Float64bits(c)
	if up == (c > 0) {
		return math.Float64frombits(bits + 1)
	}
	return math.Float64frombits(bits - 1)
}

// isFinite reports whether f is neither NaN nor infinite.
func isFinite(f float64) bool { return f-f == 0 }
