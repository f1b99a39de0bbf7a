package scrape

import "slices"

// pass is one walk over the differences of an incremental blob, and beside it over the exceptional times and the inferred
// positions of the state that it applies to: all three ascend.
type pass struct {
	old   *State
	b     *Blob
	times times // old's
	// inferred is how many of old's inferred positions lie behind.
	inferred int

	values  []float64
	stamps  []Stamp
	doubted []int32 // positions that are inferred now and were not before, ascending
	// contradicted tells that a difference fits no value.
	contradicted bool
}

func newPass(old *State, b *Blob) *pass {
	p := &pass{old: old, b: b, times: times{scrape: &old.Scrape}, values: slices.Clone(old.Values)}
	if room := min(len(old.Stamps), len(b.Index)); room > 0 {
		p.stamps = make([]Stamp, 0, room)
	}
	return p
}

// run walks. It returns the reason why the blob is unusable, or "".
func (p *pass) run() string {
	before := int32(-1)
	for k, i := range p.b.Index {
		if i <= before || int(i) >= len(p.values) {
			return ReasonIndex
		}
		before = i
		if !isFinite(p.b.Values[k]) {
			return ReasonNonFinite
		}
		p.value(i, p.b.Values[k])
		if !p.time(i, p.b.Times[k]) {
			return ReasonTime
		}
	}
	return ""
}

// value rebuilds the value at position i from its difference. A series once inferred stays so until a full blob: after
// a wrong inference even a difference that fits one value only gives a wrong one.
func (p *pass) value(i int32, difference float64) {
	value, how := rebuild(p.values[i], difference)
	p.values[i] = value
	if how == proven {
		return
	}
	p.contradicted = p.contradicted || how == contradicted
	if !p.wasInferred(i) {
		p.doubted = append(p.doubted, i)
	}
}

func (p *pass) wasInferred(i int32) bool {
	list := p.old.Inferred
	for p.inferred < len(list) && list[p.inferred] < i {
		p.inferred++
	}
	return p.inferred < len(list) && list[p.inferred] == i
}

// time rebuilds the time at position i. A position that a blob doesn't mention takes the blob's time, so only those that
// it mentions can have one of their own. It returns false if the time overflows.
func (p *pass) time(i int32, difference int64) bool {
	previous := p.times.at(i)
	t := previous + difference
	if (t < previous) != (difference < 0) {
		return false
	}
	if t != p.b.Time {
		p.stamps = append(p.stamps, Stamp{Index: i, Time: t})
	}
	return true
}

// merge returns the union of two ascending lists without common elements. It returns a itself if b is empty.
func merge(a, b []int32) []int32 {
	if len(b) == 0 {
		return a
	}
	out := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
