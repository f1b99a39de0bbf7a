package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runConfig runs `zstats config` with arguments.
func runConfig(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := configCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestConfigShow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zstats.yaml")
	text := "account: [\"acme:secret-one\"]\nnats-url: nats://user:secret-two@h:4222\nraw.bytes: 2GiB\nnotifier.addr: :1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ZSTATS_LOG_LEVEL", "warn")
	out, err := runConfig(t, "show", "--service", "ingest", "--config", file, "--log.format", "json")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{
		{"account", "(hidden)", file + ":1"}, {"nats-url", "(hidden)", file + ":2"}, {"raw.bytes", "2GiB", file + ":3"},
		{"log.level", "warn", "ZSTATS_LOG_LEVEL"}, {"log.format", "json", "flag"}, {"raw.age", "24h0m0s", "default"},
	} {
		found := false
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			found = found || strings.Join(f, " ") == strings.Join(want, " ")
		}
		if !found {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
	for _, hidden := range []string{"secret", "notifier.addr", "data-dir"} {
		if strings.Contains(out, hidden) {
			t.Errorf("%q is shown:\n%s", hidden, out)
		}
	}
	out, err = runConfig(t, "show", "--config", file, "--json")
	if err != nil || !strings.Contains(out, `{"name":"raw.bytes","value":"2GiB","source":"`+file+`:3","variable":"ZSTATS_RAW_BYTES"}`) || strings.Contains(out, "secret") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestConfigCheck(t *testing.T) {
	if out, err := runConfig(t, "check"); err != nil || !strings.Contains(out, "'zstats run' are good") {
		t.Errorf("the defaults: %v\n%s", err, out)
	}
	// Of a file for all services, what this one does not use may be somewhere else.
	other := []string{"--account-file", "/nowhere", "--ingest.tls-cert", "/nowhere", "--ingest.tls-key", "/nowhere"}
	if out, err := runConfig(t, append([]string{"check", "--service", "writer", "--nats-url", "nats://h:4222"}, other...)...); err != nil {
		t.Errorf("a writer with the accounts of ingest: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"--service", "ingest"}, "--account"},
		{[]string{"--service", "nobody"}, "no service"},
		{[]string{"--raw.age", "1h"}, "ingest.head-limit"},
		{[]string{"--config", "/nowhere"}, "configuration file"},
		{[]string{"--ingest.addr", "nowhere"}, "ingest.addr"},
		{[]string{"--log.level", "loud"}, "log level"},
		{[]string{"--account", "acme"}, "want NAME:TOKEN"},
		{[]string{"--account", "acme:x", "--account-file", "/nowhere"}, "accounts: open /nowhere"},
		{[]string{"--ingest.tls-cert", "/nowhere", "--ingest.tls-key", "/nowhere"}, "certificate /nowhere"},
		{[]string{"--notifier.tls-cert", "/nowhere", "--notifier.tls-key", "/nowhere"}, "certificate /nowhere"},
		{[]string{"--notifier.push.address", "h:1", "--notifier.push.ca-file", "/nowhere"}, "notifier.push.ca-file: open /nowhere"},
		{[]string{"--nats-url", "nats://user:pass word@h:4222"}, "nats-url: the URL of NATS server 1 of 1"},
		{[]string{"--nats.credentials", "/nowhere"}, "nats.credentials: open /nowhere"},
	} {
		out, err := runConfig(t, append([]string{"check"}, tt.args...)...)
		if err == nil || !strings.Contains(err.Error(), tt.says) || !isUsage(err) {
			t.Errorf("%q: error %v, want one of usage that says %q\n%s", tt.args, err, tt.says, out)
		}
	}
}

func TestConfigCheckVariables(t *testing.T) {
	t.Setenv("ZSTATS_TOKEN", "secret")        // of clients
	t.Setenv("ZSTATS_BUFFER_DIR", "/")        // of zstats collect
	t.Setenv("ZSTATS_WRITER_RESERVE", "1GiB") // of another service
	t.Setenv("ZSTATS_INGES_ADDR", "secret")
	out, err := runConfig(t, "check", "--service", "assembler", "--nats-url", "nats://h:4222")
	if err != nil || !strings.Contains(out, "the environment variable ZSTATS_INGES_ADDR is no setting") || strings.Contains(out, "secret") ||
		strings.Count(out, "\n") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestConfigCheckLegacy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stats.json")
	text := `{
"stats.http_port": 9905,
"stats.reqs_dir": "/var/lib/stats",
"zvcacher.cache_bkts": 1,
"bridger.notify_stingest": 1, "stats.stingest_host": "learner", "stats.stingest_port": 5300, "stats.stingest_timeout": 360
}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runConfig(t, "check", "--legacy-config", file)
	if err != nil || !strings.Contains(out, file+":4: zvcacher.cache_bkts is no longer needed") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runConfig(t, "show", "--legacy-config", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"files-dir /var/lib/stats " + file + ":3", "notifier.push.address learner:5300 " + file + ":5",
		"notifier.push.timeout 6m0s " + file + ":5", "notifier.push.concurrency 512 default",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
}
