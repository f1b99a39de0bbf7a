package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// TestReload changes the accounts of a running zstats by SIGHUP. A file that can't be used changes nothing.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# who may come in\nother:other-token\n")
	z, err := harness.StartZstats(t.Context(), zstatsBinary, t.TempDir(), "--account-file", file, "--collect-self=false")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(z.Kill)
	w := wire{t, z.IngestAddr, checker.NewBook()}
	all := newWireTarget("h:1.j", 1).scrapes(3)
	if _, err := w.post(fulls(all[:1])); err == nil || !strings.Contains(err.Error(), "401") {
		t.Fatalf("an unknown token: %v, want 401", err)
	}
	hangUp := func(says string) {
		t.Helper()
		if err := z.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually.Succeeds(t, "the signal is heard", func() error {
			if !strings.Contains(z.Output(), says) {
				return errors.New("not yet")
			}
			return nil
		})
	}
	write("other:other-token\n" + account + ":" + token + "\n")
	hangUp("read the accounts again")
	w.want("a token that is new", w.send(all[:2], smallests(all[:2])), zeros(2))
	write("nonsense\n")
	hangUp("those of before stay in use")
	w.want("after a file that can't be used", w.send(all[2:], smallests(all[2:])), zeros(1))
	if err := z.Stop(10 * time.Second); err != nil {
		t.Errorf("stop: %v\n%s", err, z.Output())
	}
}
