package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/zstats/zstats/test/harness"
)

// TestSettings has zstats check the files of settings for each service.
func TestSettings(t *testing.T) {
	binary, err := harness.Build(t.Context(), t.TempDir(), "../cmd/zstats")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"zstats", "kubernetes"} {
		for _, service := range []string{"ingest", "assembler", "writer", "notifier"} {
			cmd := exec.CommandContext(t.Context(), binary, "config", "check", "--service", service,
				"--config", filepath.Join(dir, "zstats.yaml"), "--nats-url", "nats://nats-1:4222", "--account-file", filepath.Join(dir, "accounts"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s", dir, service, err, out)
			}
		}
	}
}

// TestNATS has the NATS server read its configuration, and sees that it keeps what it must keep.
func TestNATS(t *testing.T) {
	for _, name := range []string{"NATS_PASSWORD", "NATS_ROUTE_PASSWORD", "NATS_SYS_PASSWORD"} {
		t.Setenv(name, "secret")
	}
	for _, dir := range []string{"nats", "kubernetes"} {
		o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case !o.JetStream || !o.SyncAlways || o.JetStreamMaxStore <= 0:
			t.Errorf("%s: JetStream must sync always, and have a limit", dir)
		case o.Cluster.Name == "" || o.Cluster.Username == "":
			t.Errorf("%s: the cluster has no name, or lets anybody in", dir)
		case o.SystemAccount == "" || len(o.Users) != 2 || o.NoAuthUser != "":
			t.Errorf("%s: clients come in without being known", dir)
		}
	}
}

// The set for Kubernetes can't read files above itself, so it has copies.
func TestCopies(t *testing.T) {
	for _, pair := range [][2]string{{"nats/nats.conf", "kubernetes/nats.conf"}, {"zstats/accounts", "kubernetes/accounts"}} {
		if text(t, pair[0]) != text(t, pair[1]) {
			t.Errorf("%s and %s differ", pair[0], pair[1])
		}
	}
	_, ours, _ := strings.Cut(text(t, "zstats/zstats.yaml"), "\n\n")
	_, theirs, _ := strings.Cut(text(t, "kubernetes/zstats.yaml"), "\n\n")
	if strings.ReplaceAll(ours, "(deploy/nats/nats.conf)", "(nats.conf)") != theirs {
		t.Error("zstats/zstats.yaml and kubernetes/zstats.yaml differ in more than where NATS is configured")
	}
}

// TestImages sees that both ways to the image end in the same one.
func TestImages(t *testing.T) {
	final := func(path string) string {
		_, stage, _ := strings.Cut(text(t, path), "FROM scratch\n")
		var lines []string
		for line := range strings.Lines(stage) {
			if !strings.HasPrefix(line, "COPY ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	if a, b := final("Dockerfile"), final("Dockerfile.host"); a == "" || a != b {
		t.Errorf("the final stages differ:\n%s\n%s", a, b)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
