package tail

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseSince returns the time that s means at now: so long ago, "10m", "36h", "3d", or a moment, as RFC 3339 has it.
func ParseSince(s string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		ago, err := parseAgo(s)
		if err != nil {
			return time.Time{}, fmt.Errorf("since %q: want how long ago, as 10m, 36h or 3d, or a time as %s", s, now.Format(time.RFC3339))
		}
		at = now.Add(-ago)
	}
	if at.After(now) {
		return time.Time{}, fmt.Errorf("since %q lies in the future", s)
	}
	if at.Before(time.Unix(0, 0)) {
		return time.Time{}, fmt.Errorf("since %q lies before 1970", s)
	}
	return at, nil
}

// parseAgo parses a duration, or a number of days.
func parseAgo(s string) (time.Duration, error) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	return time.Duration(n) * 24 * time.Hour, err
}
