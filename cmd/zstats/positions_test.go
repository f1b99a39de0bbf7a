package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// somePositions are as different as positions can be.
func somePositions(now time.Time) []*eventpb.Position {
	return []*eventpb.Position{
		{
			Name: "a-rather-long-name-of-some-consumer", Account: "acme", Target: "*.node", OwnerAccount: "acme", OwnerSource: "eu", AckedSequence: 5_000_000,
			Pending: 120_000, Unacked: 100, Waiting: 1, OldestUs: now.Add(-90 * time.Minute).UnixMicro(), Gap: &eventpb.Gap{FirstSequence: 12, LastSequence: 40},
		},
		{Name: "billing"},
	}
}

func showPositions(t *testing.T, width int, do func(*display) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := do(&display{out: &out, notes: &out, width: width, zone: readingNow().Location()}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPositionsLs(t *testing.T) {
	now := readingNow()
	for _, c := range []struct {
		name  string
		flags positionsFlags
		width int
		all   []*eventpb.Position
		want  string
	}{
		{"none", positionsFlags{}, 80, nil, "no positions\n"},
		{"none as JSON", positionsFlags{json: true}, 80, nil, ""},
		{"one", positionsFlags{}, 80, somePositions(now)[1:], `
NAME     SELECTS  PENDING  UNACKED  WAITING  OLDEST  ACKED
billing  */*            0        0        0       -      0
`},
		{"a pipe", positionsFlags{}, 0, somePositions(now), `
NAME                                 OWNER    SELECTS      PENDING  UNACKED  WAITING  OLDEST    ACKED  GAP
a-rather-long-name-of-some-consumer  acme@eu  acme/*.node   120000      100        1   1h30m  5000000  12 to 40
billing                              -        */*                0        0        0       -        0  -
`},
		{"80 wide", positionsFlags{}, 80, somePositions(now), `
NAME      OWNER    SELECTS  PENDING  UNACKED  WAITING  OLDEST    ACKED  GAP
a-rathe…  acme@eu  acme/*…   120000      100        1   1h30m  5000000  12 to 40
billing   -        */*            0        0        0       -        0  -
`},
		{"JSON", positionsFlags{json: true}, 80, somePositions(now), `
{"name":"a-rather-long-name-of-some-consumer","owner_account":"acme","owner_source":"eu","account":"acme","target":"*.node","acked_sequence":5000000,"pending":120000,"unacked":100,"waiting":1,"gap":{"first_sequence":12,"last_sequence":40},"oldest_us":1795609800000000}
{"name":"billing","account":"","target":"","acked_sequence":0,"pending":0,"unacked":0,"waiting":0}
`},
	} {
		got := showPositions(t, c.width, func(d *display) error { return c.flags.ls(d, c.all, now) })
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestPositionsShow(t *testing.T) {
	now := readingNow()
	const want = `
name            a-rather-long-name-of-some-consumer
owner           acme@eu
account         acme
target          *.node
acknowledged    all up to sequence 5000000
pending         120000 events to be delivered, of all targets
unacknowledged  100 events delivered
oldest          2026-11-25 13:30:00.000000, 1h30m ago
waiting         1 member for events
gap             events 12 to 40 were removed before they were acknowledged
`
	got := showPositions(t, 80, func(d *display) error { return d.position(somePositions(now)[0], now) })
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPositionsFind(t *testing.T) {
	all := []*eventpb.Position{{Name: "one"}, {Name: "two", OwnerAccount: "a"}, {Name: "two", OwnerAccount: "b", OwnerSource: "s"}}
	for _, c := range []struct {
		f    onePosition
		all  []*eventpb.Position
		name string
		want *eventpb.Position
		says string
	}{
		{onePosition{}, all, "one", all[0], ""},
		{onePosition{ownerAccount: "a"}, all, "two", all[1], ""},
		{onePosition{ownerSource: "s"}, all, "two", all[2], ""},
		{onePosition{}, all, "two", nil, `several own a position "two": a, b@s; say whose with --owner-account and --owner-source`},
		{onePosition{ownerAccount: "c"}, all, "two", nil, `there is no position "two" of account "c"; there are: one, two (a), two (b@s)`},
		{onePosition{}, all, "on", nil, `there is no position "on"; there are: one, two (a), two (b@s)`},
		{onePosition{}, nil, "on", nil, `there is no position "on", nor any other`},
	} {
		got, err := c.f.find(c.all, c.name)
		if got != c.want || (err != nil || c.says != "") && (err == nil || err.Error() != c.says) {
			t.Errorf("%q of %q: %v, %v; want %v, %s", c.name, c.f.ownerAccount, got, err, c.want, c.says)
		}
	}
}
