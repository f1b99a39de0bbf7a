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
	// freshToken: the token of the account "default" was made by this process.
	freshToken bool
}

// openDataDir makes the directory if it is missing and locks it.
func openDataDir(path string) (*dataDir, error) {
	lock, err := lockDir(path, 0o755, "data directory", "--data-dir")
	if err != nil {
		return nil, err
	}
	return &dataDir{path: path, lock: lock}, nil
}

// errInUse: another process holds the directory.
var errInUse = errors.New("in use by another zstats")

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
		return nil, fmt.Errorf("%s %s is %w: stop it, or choose another with %s", what, path, errInUse, flag)
	}
	return lock, nil
}

// close gives the directory up. The lock's file stays: removing it could take it from under another process.
func (d *dataDir) close() { d.lock.Close() }

// logDir is where, in a data directory, the embedded log is.
const logDir = "jetstream"

func (d *dataDir) log() string { return filepath.Join(d.path, logDir) }

// filesDir returns where the files of a data directory are.
func filesDir(path string) string { return filepath.Join(path, "files") }

func (d *dataDir) tokenFile() string { return filepath.Join(d.path, "token") }

// urlFile holds, while a process runs, the address of its embedded log with a token.
func urlFile(path string) string { return filepath.Join(path, "nats-url") }

// writeURL says where tools reach the embedded log. Only the owner of the directory may read it.
func (d *dataDir) writeURL(url string) error {
	d.removeURL() // an older one may have another mode
	if err := os.WriteFile(urlFile(d.path), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("address of the embedded log: %w", err)
	}
	return nil
}

// removeURL takes the address back. One that stays behind only makes tools say that nothing answers there.
func (d *dataDir) removeURL() { _ = os.Remove(urlFile(d.path)) }

// defaultToken returns the token of the account "default", which is made at random when it is first asked for.
func (d *dataDir) defaultToken() (string, error) {
	path := d.tokenFile()
	data, err := os.ReadFile(path)
	if err == nil {
		token := strings.TrimSpace(string(data))
		if token == "" {
			return "", fmt.Errorf("token file %s is empty: remove it, or name accounts with --account", path)
		}
		return token, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("token file: %w", err)
	}
	d.freshToken = true
	token := rand.Text()
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		_ = os.Remove(path) // half a token would be taken for a whole one
		return "", fmt.Errorf("token file: %w", err)
	}
	return token, nil
}
