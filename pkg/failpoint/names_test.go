package failpoint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/event"
)

const root = "../.."

// TestNames compares the table with the places in the repository's code: each name stands in one place, and no other does.
func TestNames(t *testing.T) {
	var table []string
	for _, name := range Names() {
		place, _, _ := strings.Cut(name, "/")
		table = append(table, place)
	}
	slices.Sort(table)
	found := places(t)
	slices.Sort(found)
	if diff := cmp.Diff(slices.Compact(table), found); diff != "" {
		t.Errorf("failpoints (-in the table +in the code):\n%s", diff)
	}
}

func TestNamesDiffer(t *testing.T) {
	names := Names()
	slices.Sort(names)
	if n := len(names); len(slices.Compact(names)) != n {
		t.Error("a name is in the table twice")
	}
}

// TestNamesHaveAllStreams compares the parts of what every stream passes with the streams of the log.
func TestNamesHaveAllStreams(t *testing.T) {
	for _, s := range event.Topology(event.Limits{}) {
		for _, place := range []string{"log.batch.before", "log.batch.half", "log.batch.after", "log.stream.made"} {
			if name := place + "/" + s.Name; !slices.Contains(Names(), name) {
				t.Errorf("%s is not in the table", name)
			}
		}
	}
}

// places returns the first arguments of all calls of Hit and HitIn.
func places(t *testing.T) []string {
	t.Helper()
	var found []string
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && isHit(call) {
				found = append(found, place(t, files, call))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func isHit(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && pkg.Name == "failpoint" && (f.Sel.Name == "Hit" || f.Sel.Name == "HitIn")
}

func place(t *testing.T, files *token.FileSet, call *ast.CallExpr) string {
	t.Helper()
	if literal, ok := call.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if name, err := strconv.Unquote(literal.Value); err == nil {
			return name
		}
	}
	t.Errorf("%s: the name of a failpoint must be a literal", files.Position(call.Pos()))
	return ""
}
