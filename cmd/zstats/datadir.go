package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is the directory of `zstats run`, held by one process at a time.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory if it is missing and locks it.
func openDataDir(path string) (*dataDir, error) {
	lock, err := lockDir(path, 0o755, "data directory", "--data-dir")
	if err != nil {
		return nil, err
	}
	return &dataDir{path: path, lock: lock}, nil
}

// lockDir makes a directory if it is missing and locks it until the result is closed, or the process ends. The other arguments
// say in errors what the directory is and which flag chooses it.
func lockDir(path string, mode os.FileMode, what, flag string) (*os.File, error) {
	if err := os.MkdirAll(path, mode); err != nil {
		return nil, fmt.Errorf("%s: %w: choose another with %s", what, err, flag)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: choose another with %s", what, err, flag)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s %s is in use by another zstats: stop it, or choose another with %s", what, path, flag)
	}
	return lock, nil
}

// close gives the directory up. The lock's file stays: removing it could take it from under another process.
func (d *dataDir) close() { d.lock.Close() }

func (d *dataDir) log() string   { return filepath.Join(d.path, "jetstream") }
func (d *dataDir) files() string { return filepath.Join(d.path, "files") }

// defaultToken returns the token of the account "default", which is made at random when it is first asked for.
func (d *dataDir) defaultToken() (token string, fresh bool, err error) {
	path := filepath.Join(d.path, "token")
	data, err := os.ReadFile(path)
	if err == nil {
		token = strings.TrimSpace(string(data))
		if token == "" {
			return "", false, fmt.Errorf("token file %s is empty: remove it, or name accounts with --account", path)
		}
		return token, false, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", false, fmt.Errorf("token file: %w", err)
	}
	token = rand.Text()
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("token file: %w", err)
	}
	return token, true, nil
}
