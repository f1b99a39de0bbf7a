package failpoint

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// choice is one hit of one failpoint.
type choice struct {
	name  string
	at    int64 // which hit, from 1
	after time.Duration
}

// parse reads NAME[#HIT][+DURATION].
func parse(text string) (c choice, err error) {
	rest, after, late := strings.Cut(text, "+")
	name, at, counted := strings.Cut(rest, "#")
	c = choice{name: name, at: 1}
	if counted {
		if c.at, err = strconv.ParseInt(at, 10, 64); err != nil || c.at < 1 {
			return c, fmt.Errorf("%q: want a number from 1 behind '#'", text)
		}
	}
	if late {
		if c.after, err = time.ParseDuration(after); err != nil || c.after < 0 {
			return c, fmt.Errorf("%q: want a duration behind '+', for example 50ms", text)
		}
	}
	if name == "" {
		return c, fmt.Errorf("%q: want NAME, NAME#HIT, NAME+DURATION or NAME#HIT+DURATION", text)
	}
	return c, nil
}
