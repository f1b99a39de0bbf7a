package tail

import (
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/when"
)

// ParseSince returns the time that s means at now, as when.Parse does.
func ParseSince(s string, now time.Time) (time.Time, error) {
	at, err := when.Parse(s, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("since %w", err)
	}
	return at, nil
}
