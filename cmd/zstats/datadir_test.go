package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDataDirIsForOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(path); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a second process: %v, want an error that says what to do", err)
	}
	d.close()
	d, err = openDataDir(path)
	if err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	d.close()
}

func TestBufferDirIsForOneCollector(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockDir(dir, 0o700, "buffer directory", "--buffer-dir")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	cmd := collectCommand()
	cmd.SetArgs([]string{"--server", "http://127.0.0.1:1", "--token", "t", "--target", "a=http://127.0.0.1:1", "--buffer-dir", dir})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("a second collector: %v, want an error that says what to do", err)
	}
}

func TestDefaultTokenIsKept(t *testing.T) {
	d, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	first, err := d.defaultToken()
	if err != nil || !d.freshToken || len(first) < 20 {
		t.Fatalf("first token %q, fresh %v, %v", first, d.freshToken, err)
	}
	next := &dataDir{path: d.path} // as a later process would have it
	again, err := next.defaultToken()
	if err != nil || next.freshToken || again != first {
		t.Errorf("second token %q, fresh %v, %v; want the first one", again, next.freshToken, err)
	}
	info, err := os.Stat(filepath.Join(d.path, "token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token file has mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(d.path, "token"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.defaultToken(); err == nil {
		t.Error("an empty token file was accepted")
	}
}
