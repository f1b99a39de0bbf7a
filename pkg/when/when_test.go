package when_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/when"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.FixedZone("CET", 3600))
	for _, c := range []struct {
		in   string
		want time.Time // zero: an error
	}{
		{"10m", now.Add(-10 * time.Minute)},
		{"1h30m", now.Add(-90 * time.Minute)},
		{"3d", now.AddDate(0, 0, -3)},
		{"0s", now},
		{"2026-11-25T07:00:00Z", now.Add(-time.Hour)},
		{"2026-11-25T07:00:00.25Z", now.Add(-time.Hour + 250*time.Millisecond)},
		{"2026-11-25T09:00:00+01:00", now},
		{"2026-11-25 08:59:59.000001", now.Add(-time.Second + time.Microsecond)},
		{"2026-11-25 08:59:59", now.Add(-time.Second)},
		{"2026-11-25 08:59", now.Add(-time.Minute)},
		{"2026-11-25", now.Add(-9 * time.Hour)},
		{now.Add(-time.Hour).Format(when.Layout), now.Add(-time.Hour)},
		{"1584152546000001", time.UnixMicro(1584152546000001)},
		{"2026-11-25T09:00:01Z", time.Time{}},
		{"-5m", time.Time{}},
		{"-1d", time.Time{}},
		{"30000d", time.Time{}},
		{"99999999d", time.Time{}},
		{"1584152546", time.Time{}},
		{"2026", time.Time{}},
		{"yesterday", time.Time{}},
		{"10", time.Time{}},
		{"", time.Time{}},
	} {
		got, err := when.Parse(c.in, now)
		if (err != nil) != c.want.IsZero() || !got.Equal(c.want) {
			t.Errorf("%q: %v, %v, want %v", c.in, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.in) {
			t.Errorf("%q: the error doesn't name it: %v", c.in, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"90m": 90 * time.Minute, "30d": 720 * time.Hour, "0d": 0} {
		if got, err := when.Duration(in); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "1.5d", "70000d", "x", "5"} {
		if got, err := when.Duration(in); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}
