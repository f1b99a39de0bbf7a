package collector

import "time"

// throttle lets one line of a log pass in a while, so that a fault that lasts does not fill it. The zero value is ready.
type throttle struct {
	last time.Time
	held int
}

// allow reports whether a line may be written now, and how many were held back since the last one.
func (t *throttle) allow(now time.Time) (held int, ok bool) {
	const period = time.Minute
	if !t.last.IsZero() && now.Sub(t.last) < period {
		t.held++
		return 0, false
	}
	held = t.held
	*t = throttle{last: now}
	return held, true
}

// reset lets the next line pass.
func (t *throttle) reset() { *t = throttle{} }
