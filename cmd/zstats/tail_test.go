package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/test/freeaddr"
)

func TestTailAsks(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		f    tailFlags
		want *eventpb.SubscribeRequest
	}{
		{tailFlags{}, &eventpb.SubscribeRequest{}},
		{
			tailFlags{account: "acme", target: "*.node", fromSet: true},
			&eventpb.SubscribeRequest{Account: "acme", Target: "*.node", From: &eventpb.SubscribeRequest_FromSequence{}},
		},
		{
			tailFlags{fromSequence: 7, fromSet: true},
			&eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{FromSequence: 7}},
		},
		{
			tailFlags{since: "10m"},
			&eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: now.Add(-10 * time.Minute).UnixMicro()}},
		},
	} {
		got, err := c.f.request(now)
		if err != nil {
			t.Errorf("%+v: %v", c.f, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.f, diff)
		}
	}
}

func TestTailRefuses(t *testing.T) {
	free := freeaddr.One(t)
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCertificate, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--notifier " + free, "nothing answers at " + free},
		{"--notifier " + free, "Is 'zstats run' running there? Start it, or name another address with --notifier HOST:PORT"},
		{"--notifier nowhere", `notifier address "nowhere": want HOST:PORT`},
		{"--count -1", "--count is -1"},
		{"--name=", "--name is empty"},
		{"--since yesterday", `since "yesterday"`},
		{"--since 1m --from-sequence 3", "--from-sequence and --since exclude each other"},
		{"--ca-file " + noCertificate, "holds no certificate in PEM"},
		{"--ca-file " + noCertificate + "x", "--ca-file: open "},
		{"words", `unknown command "words"`},
	} {
		cmd := tailCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(strings.Fields(c.args))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("tail %s: %v, want %q", c.args, err, c.want)
		}
	}
}

// What --name asks for is what tail would show without it; with --count nothing is delivered ahead.
func TestTailOpens(t *testing.T) {
	for _, c := range []struct {
		f    tailFlags
		want *eventpb.OpenPosition
	}{
		{tailFlags{account: "acme"}, nil},
		{
			tailFlags{name: "n", account: "acme", target: "*.node"},
			&eventpb.OpenPosition{Name: "n", Account: "acme", Target: "*.node", MaxInFlight: tailInFlight},
		},
		{
			tailFlags{name: "n", fromSet: true, count: 7},
			&eventpb.OpenPosition{Name: "n", From: &eventpb.OpenPosition_FromSequence{}, MaxInFlight: 1},
		},
		{
			tailFlags{name: "n", since: "1970-01-02T00:00:00Z"},
			&eventpb.OpenPosition{Name: "n", From: &eventpb.OpenPosition_FromTimeUs{FromTimeUs: 24 * 3600 * 1_000_000}, MaxInFlight: tailInFlight},
		},
	} {
		r, err := c.f.request(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, c.f.position(r), protocmp.Transform()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.f, diff)
		}
	}
}

func TestTerminalWidth(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if got := terminalWidth(w); got != 0 {
		t.Errorf("a pipe is %d wide, want 0", got)
	}
}
