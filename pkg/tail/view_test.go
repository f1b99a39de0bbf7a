package tail_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/tail"
)

var update = flag.Bool("update", false, "write the golden files anew")

// today is the day on which the golden files were tailed, in an hour's distance from UTC.
func today() (time.Time, *time.Location) {
	zone := time.FixedZone("CET", 3600)
	return time.Date(2026, 11, 25, 9, 0, 0, 0, zone), zone
}

func events() []*eventpb.ScrapeWritten {
	at := func(day, hour, minute, second int) int64 {
		return time.Date(2026, 11, day, hour, minute, second, 250_000_000, time.UTC).UnixMicro()
	}
	return []*eventpb.ScrapeWritten{
		{
			Sequence: 65, Account: "default", Target: "127.0.0.1:9907.zstats", InstanceId: "127.0.0.1:9907.zstats", Type: "prometheus",
			DataPath:     "default/127.0.0.1_9907.zstats/1795600000250000/1795600000250000.data.gz",
			MetadataPath: "default/127.0.0.1_9907.zstats/1795600000250000/1795600000250000.json",
			EpochUs:      at(24, 22, 59, 59), DefaultTimestampMs: at(24, 22, 59, 59) / 1000, Generation: 1, Samples: 212, Bytes: 3946,
		},
		{
			Sequence: 66, Account: "a-rather-long-account", Source: "eu-west-1", Target: "ip-10-122-33-144.eu-west-1.compute.internal:9100.node_exporter",
			InstanceId: "ip-10-122-33-144.eu-west-1.compute.internal:9100.node_exporter", Type: "prometheus",
			DataPath:     "a-rather-long-account/@eu-west-1/ip-10-122-33-144.eu-west-1.compute.internal_9100.node%5Fexporter/1795600001250000/1795600001250000.data.gz",
			MetadataPath: "a-rather-long-account/@eu-west-1/ip-10-122-33-144.eu-west-1.compute.internal_9100.node%5Fexporter/1795600001250000/1795600001250000.json",
			EpochUs:      at(24, 23, 0, 0), DefaultTimestampMs: at(24, 23, 0, 0)/1000 - 3, Generation: 41, Samples: 1138, Inferred: 7, Bytes: 41_234,
		},
		{
			Sequence: 70, Account: "Zebrium", Target: "192.168.120.51:9100.prometheus", InstanceId: "192.168.120.51:9100.prometheus", Type: "prometheus",
			DataPath:     "Zebrium/192.168.120.51_9100.prometheus/1795600002250000/1795600002250000.data.gz",
			MetadataPath: "Zebrium/192.168.120.51_9100.prometheus/1795600002250000/1795600002250000.json",
			EpochUs:      at(25, 8, 0, 5), DefaultTimestampMs: at(25, 8, 0, 5) / 1000, Generation: -3, Samples: 500_000, Inferred: 12_345, Bytes: 4_000_000_000,
		},
		{
			Sequence: 71, Account: "acme", Target: "evil\x1b[2J\nname\u202e.ü<&>.j", InstanceId: "evil", Type: "prometheus",
			DataPath: "acme/evil%1B/1/1.data.gz", MetadataPath: "acme/evil%1B/1/1.json", EpochUs: at(25, 8, 0, 6), Samples: 1, Bytes: 87,
		},
	}
}

func show(t *testing.T, v tail.View) {
	t.Helper()
	for i, e := range events() {
		if err := v.Event(e); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := v.Gap(&eventpb.Gap{FirstSequence: 67, LastSequence: 69}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestViews(t *testing.T) {
	_, zone := today()
	for _, c := range []struct {
		name string
		view func(out *bytes.Buffer) tail.View
	}{
		{"width-40", table(40, tail.TableOptions{})},
		{"width-60", table(60, tail.TableOptions{})},
		{"width-80", table(80, tail.TableOptions{})},
		{"width-80-color", table(80, tail.TableOptions{Color: true})},
		{"width-80-one-account", table(80, tail.TableOptions{OneAccount: true})},
		{"width-100", table(100, tail.TableOptions{})},
		{"width-120", table(120, tail.TableOptions{})},
		{"width-200", table(200, tail.TableOptions{})},
		{"plain", func(out *bytes.Buffer) tail.View { return tail.NewPlain(out, out, zone) }},
		{"json", func(out *bytes.Buffer) tail.View { return tail.NewJSON(out) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			show(t, c.view(&out))
			golden(t, c.name, out.Bytes())
		})
	}
}

func table(width int, o tail.TableOptions) func(*bytes.Buffer) tail.View {
	return func(out *bytes.Buffer) tail.View {
		o.Out, o.Notes, o.Width = out, out, func() int { return width }
		o.Today, o.Zone = today()
		return tail.NewTable(o)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// No row is wider than the terminal, from the narrowest on that holds a row at all.
func TestTableFits(t *testing.T) {
	for width := 44; width <= 250; width++ {
		var out bytes.Buffer
		o := tail.TableOptions{Out: &out, Notes: new(bytes.Buffer), Width: func() int { return width }}
		o.Today, o.Zone = today()
		show(t, tail.NewTable(o))
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Fatalf("at width %d a line has %d characters:\n%s", width, n, line)
			}
		}
	}
}

func TestHeaderFollowsTheWidth(t *testing.T) {
	var out bytes.Buffer
	width := 80
	o := tail.TableOptions{Out: &out, Width: func() int { return width }}
	o.Today, o.Zone = today()
	v := tail.NewTable(o)
	if err := v.Header(); err != nil {
		t.Fatal(err)
	}
	for _, width = range []int{80, 80, 140, 140} {
		if err := v.Event(events()[3]); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "TARGET"); got != 2 {
		t.Errorf("%d headers, want 2:\n%s", got, out.String())
	}
}

func TestNothingDrivesTheTerminal(t *testing.T) {
	day, zone := today()
	e := &eventpb.ScrapeWritten{Account: "a\x1b]0;x\x07", Source: "s\r", Target: "t\u009b1m", DataPath: "p\n\x00"}
	var out bytes.Buffer
	for _, v := range []tail.View{
		tail.NewJSON(&out),
		tail.NewTable(tail.TableOptions{Out: &out, Notes: &out, Width: func() int { return 200 }, Zone: zone, Today: day}),
		tail.NewPlain(&out, &out, zone),
	} {
		if err := v.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if i := strings.IndexAny(out.String(), "\x00\x07\x1b\r\u009b"); i >= 0 {
		t.Errorf("a control character came through: %q", out.String())
	}
	if got := strings.Count(out.String(), "\n"); got != 5 { // object, header, date, two rows
		t.Errorf("%d lines: %q", got, out.String())
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		in   string
		want time.Time // zero: an error
	}{
		{"10m", now.Add(-10 * time.Minute)},
		{"1h30m", now.Add(-90 * time.Minute)},
		{"3d", now.AddDate(0, 0, -3)},
		{"0s", now},
		{"2026-11-25T08:00:00Z", now.Add(-time.Hour)},
		{"2026-11-25T10:00:00+01:00", now},
		{"2026-11-25T09:00:01Z", time.Time{}},
		{"-5m", time.Time{}},
		{"-1d", time.Time{}},
		{"30000d", time.Time{}},
		{"99999999d", time.Time{}},
		{"yesterday", time.Time{}},
		{"10", time.Time{}},
		{"", time.Time{}},
	} {
		got, err := tail.ParseSince(c.in, now)
		if (err != nil) != c.want.IsZero() || !got.Equal(c.want) {
			t.Errorf("%q: %v, %v, want %v", c.in, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.in) {
			t.Errorf("%q: the error doesn't name it: %v", c.in, err)
		}
	}
}
