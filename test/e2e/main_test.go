// Package e2e tests zstats as its users run it: the real binary as processes, real targets, real HTTP, real gRPC.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/zstats/zstats/test/harness"
)

// nodeExporter is the version that the tests scrape.
const nodeExporter = "github.com/prometheus/node_exporter@v1.11.1"

// The binaries are built once for all tests.
var zstatsBinary, natsBinary, exporterBinary string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "zstats-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if zstatsBinary, err = harness.Build(ctx, dir, "../../cmd/zstats"); err != nil {
		return 0, err
	}
	if natsBinary, err = harness.BuildNATS(ctx, dir); err != nil {
		return 0, err
	}
	if exporterBinary, err = install(ctx, dir, nodeExporter); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// install builds a command from its module.
func install(ctx context.Context, dir, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install %s: %w\n%s", module, err, out)
	}
	return filepath.Join(dir, "node_exporter"), nil
}
