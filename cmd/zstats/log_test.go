package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/telemetry"
)

// The environment of a service's container names its servers, but a flag wins.
func TestLogOfEnvironment(t *testing.T) {
	t.Setenv("ZSTATS_NATS_URL", "nats://of-the-service:4222")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "nats://of-the-service:4222"},
		{[]string{"--nats-url", "nats://other:4222"}, "nats://other:4222"},
		{[]string{"--data-dir", "./data"}, ""},
	} {
		var s logSource
		f := pflag.NewFlagSet("test", pflag.ContinueOnError)
		s.register(f)
		if err := f.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		if s.fromEnvironment(); s.natsURL != tt.want {
			t.Errorf("%v: %q, want %q", tt.args, s.natsURL, tt.want)
		}
	}
}

// A tool reads the log of a directory while a process runs on it, and when none does.
func TestOpenLog(t *testing.T) {
	source := logSource{dataDir: t.TempDir()}
	if _, _, err := source.open(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a directory without a log: %v, want an error that says what to do", err)
	}
	live := startLog(t, source.dataDir)
	if info, err := os.Stat(urlFile(source.dataDir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the address: %v, %v; want mode 0600", info, err)
	}
	check := func(state string) {
		t.Helper()
		b, end, err := source.open(t.Context(), "test")
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		defer end()
		if _, last, err := b.Bounds(t.Context(), event.Dead); err != nil || last != 1 {
			t.Errorf("%s: %d messages, %v; want 1", state, last, err)
		}
	}
	check("live")
	live()
	check("offline")
	check("offline again")
}

// startLog runs an embedded log as `zstats run` does, with one message in DEAD.
func startLog(t *testing.T, path string) (stop func()) {
	t.Helper()
	dir, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{settings: defaults(t), dir: dir, log: testLogger(t), registry: telemetry.NewRegistry()}
	if err := p.embed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.bus.Append(t.Context(), event.Dead, bus.Message{Subject: "zs.dead.a.b"}); err != nil {
		t.Fatal(err)
	}
	return p.close
}

// Nobody without the token may use the embedded log.
func TestEmbeddedLogNeedsItsToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	stop := startLog(t, path)
	defer stop()
	url, err := os.ReadFile(urlFile(path))
	if err != nil {
		t.Fatal(err)
	}
	_, host, _ := strings.Cut(strings.TrimSpace(string(url)), "@")
	b, err := bus.Connect(bus.Options{URL: "nats://" + host})
	if err == nil {
		b.Close()
		t.Fatal("connected without a token")
	}
	if !strings.Contains(err.Error(), bus.ErrUnauthorized.Error()) {
		t.Errorf("error %v", err)
	}
}
