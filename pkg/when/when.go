// Package when reads the moments that people give on command lines.
package when

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Layout is how moments are shown to people: in their zone, to the microsecond. Parse takes it.
const Layout = "2006-01-02 15:04:05.000000"

// minEpoch is the least number that is taken for an epoch, in microseconds since the Unix epoch: a day of the year 1970. It
// keeps apart what may be a year or seconds.
const minEpoch = 1e11

// Parse returns the moment that s means at now, in now's zone where s has none:
//
//   - so long ago: 10m, 36h, 3d;
//   - a time as RFC 3339 has it, or a date and a time with a blank between them, down to the fraction, the day or anything
//     between: 2026-11-25, 2026-11-25 14:03, 2026-11-25 14:03:05.250;
//   - an epoch, in microseconds since the Unix epoch, as the directories of scrapes are named.
//
// It must lie between 1970 and now.
func Parse(s string, now time.Time) (time.Time, error) {
	at, err := parse(s, now)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q: want how long ago, as 10m, 36h or 3d, or a time as %s or %s", s, now.Format(time.RFC3339), now.Format(time.DateTime))
	case at.After(now):
		return time.Time{}, fmt.Errorf("%q lies in the future", s)
	case at.Before(time.Unix(0, 0)):
		return time.Time{}, fmt.Errorf("%q lies before 1970", s)
	}
	return at, nil
}

func parse(s string, now time.Time) (time.Time, error) {
	if epoch, err := strconv.ParseInt(s, 10, 64); err == nil && epoch >= minEpoch {
		return time.UnixMicro(epoch).In(now.Location()), nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	for _, layout := range [...]string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return at, nil
		}
	}
	ago, err := Duration(s)
	return now.Add(-ago), err
}

// Duration parses a duration as time.ParseDuration does, or a whole number of days: 3d.
func Duration(s string) (time.Duration, error) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too long", s)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is no duration as 90m, 36h or 3d", s)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
