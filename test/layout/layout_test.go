// Package layout holds the code to the architecture: who may import whom.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/zstats/zstats/"

// pkg is what the go command says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(out); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

// TestImports checks the rules of docs/architecture.md.
func TestImports(t *testing.T) {
	services := []string{"ingest", "assembler", "writer", "notifier", "collector", "replay"}
	pure := []string{"pkg/scrape", "pkg/fold", "pkg/expo", "pkg/zstatsv1", "pkg/event"}
	effects := []string{"net", "net/http", "os", "os/exec", "go.uber.org/zap"}
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.ImportPath, "/")
		for _, imported := range p.Imports {
			own, inside := strings.CutPrefix(imported, module)
			importedTop, _, _ := strings.Cut(own, "/")
			switch {
			case slices.Contains(services, top) && inside && importedTop != "pkg" && importedTop != top:
				t.Errorf("%s imports %s: services import pkg, never each other", p.ImportPath, own)
			case top == "pkg" && inside && importedTop != "pkg":
				t.Errorf("%s imports %s: pkg imports nothing above it", p.ImportPath, own)
			case top == "examples" && inside && own != "pkg/event/eventpb":
				t.Errorf("%s imports %s: an example is a program of somebody else, who has the definitions alone", p.ImportPath, own)
			case inside && importedTop == "examples" && top != "examples":
				t.Errorf("%s imports %s: examples are for users", p.ImportPath, own)
			case strings.HasPrefix(imported, "github.com/nats-io/") && p.ImportPath != "pkg/bus" && p.ImportPath != "pkg/bus/bustest":
				t.Errorf("%s imports %s: only pkg/bus uses NATS, and what helps with its tests", p.ImportPath, imported)
			case slices.Contains(pure, p.ImportPath) && slices.Contains(effects, imported):
				t.Errorf("%s imports %s: it is to be pure", p.ImportPath, imported)
			}
		}
	}
}
