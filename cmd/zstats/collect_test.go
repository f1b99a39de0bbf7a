package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/collector"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestParseTargets(t *testing.T) {
	got, err := parseTargets([]string{"node=http://h:1/m?a=b", "j=https://x"})
	want := []collector.Target{{Job: "node", URL: "http://h:1/m?a=b"}, {Job: "j", URL: "https://x"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, arg := range []string{"", "http://h:1/m", "=http://h", "job="} {
		if _, err := parseTargets([]string{arg}); err == nil {
			t.Errorf("target %q: no error", arg)
		}
	}
}

func TestParseLabels(t *testing.T) {
	got, err := parseLabels([]string{"a=b=c", "d="})
	want := []scrape.Label{{Name: "a", Value: "b=c"}, {Name: "d"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, arg := range []string{"", "a", "=b"} {
		if _, err := parseLabels([]string{arg}); err == nil {
			t.Errorf("label %q: no error", arg)
		}
	}
}

func TestReadToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(tokenVariable, "from-environment")
	for _, tc := range []struct{ token, file, want string }{
		{"", "", "from-environment"}, {"from-flag", "", "from-flag"}, {"", file, "from-file"},
		{"from-flag", file, ""}, {"", file + "x", ""},
	} {
		f := collectFlags{token: tc.token, tokenFile: tc.file}
		if got, err := f.readToken(); got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
	}
}

func TestTLSFlags(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, f := range map[string]tlsFlags{"authority": {caFile: authority}, "insecure": {insecure: true}} {
		client, err := f.client()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
	}
	if client, err := (&tlsFlags{}).client(); client != nil || err != nil {
		t.Errorf("without flags: %v, %v", client, err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), write("empty.pem", nil)} {
		if _, err := (&tlsFlags{caFile: path}).client(); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

// What is wrong on the command line is said, and nothing begins.
func TestCollectRefusesBadFlags(t *testing.T) {
	t.Setenv(tokenVariable, "")
	valid := []string{"--server", "http://127.0.0.1:1", "--token", "t", "--target", "j=http://127.0.0.1:2"}
	for _, tc := range []struct{ flag, value, want string }{
		{"--token", "", "token"}, {"--server", "nowhere", "server"}, {"--target", "nonsense", "target"},
		{"--target", "j=http://127.0.0.1:2", "given twice"}, {"--timeout", "1m", "timeout"}, {"--label", "job=x", "job"},
		{"--log.level", "loud", "log level"}, {"--interval", "0s", "--interval"}, {"--server", "", "--server"}, {"--token", "", tokenVariable}, {"--ca-file", "/nowhere", "CA file"}, {"--batch", "100000", "batch"},
	} {
		cmd := collectCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(append([]string{}, valid...), tc.flag, tc.value))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) || !isUsage(err) && tc.flag != "--ca-file" {
			t.Errorf("%s %q: %v", tc.flag, tc.value, err)
		}
	}
}

// A collector is configured by a file as the services are.
func TestCollectReadsAFile(t *testing.T) {
	t.Setenv(tokenVariable, "t")
	file := filepath.Join(t.TempDir(), "collect.yaml")
	if err := os.WriteFile(file, []byte("server: http://127.0.0.1:1\ntarget: [\"j=http://127.0.0.1:2\"]\nbatch: 100000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := collectCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--config", file})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "batch of 100000") {
		t.Errorf("error %v, want one about the batch, which is in the file", err)
	}
}
