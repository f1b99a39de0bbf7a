// Package harness runs zstats as a process, for end-to-end tests and benchmarks.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/zstats/zstats/test/freeaddr"
)

// Build compiles the package at path, relative to the module's root, into dir and returns the binary's path. The flags are for
// `go build`.
func Build(ctx context.Context, dir, path string, flags ...string) (string, error) {
	binary := filepath.Join(dir, filepath.Base(path))
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, path)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", path, err, out)
	}
	return binary, nil
}

// Process is a running command.
type Process struct {
	cmd    *exec.Cmd
	output *lockedBuffer
	ended  chan struct{}
	err    error // of Wait; valid once ended is closed
}

// Start runs a binary; its output is kept.
func Start(binary string, args ...string) (*Process, error) { return StartIn(nil, binary, args...) }

// StartIn is Start with more variables, NAME=VALUE, in the environment.
func StartIn(env []string, binary string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary, args...), output: new(lockedBuffer), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Output returns what the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Killed reports whether the process was ended by SIGKILL. It must have ended.
func (p *Process) Killed() bool {
	<-p.ended
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait waits for the process to end. An exit code other than 0 is an error.
func (p *Process) Wait(within time.Duration) error {
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("process did not end within %s", within)
	}
}

// Stop asks the process to end and waits for it. An exit code other than 0 is an error.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("process did not stop within %s", within)
	}
}

// Usage returns what the process has used; it must have ended.
func (p *Process) Usage() (cpu time.Duration, peakBytes int64) {
	<-p.ended
	state := p.cmd.ProcessState
	cpu = state.UserTime() + state.SystemTime()
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		peakBytes = u.Maxrss << 10 // Linux counts in KiB
	}
	return cpu, peakBytes
}

// Zstats is a running `zstats run`.
type Zstats struct {
	*Process
	Dir                                 string
	IngestAddr, NotifierAddr, AdminAddr string
	Env                                 []string // variables of the next start, NAME=VALUE, beside those of this process
}

// StartZstats runs `zstats run` with its data in dir on free ports and waits until it is ready.
func StartZstats(ctx context.Context, binary, dir string, args ...string) (*Zstats, error) {
	z, err := NewZstats(dir)
	if err != nil {
		return nil, err
	}
	return z, z.start(ctx, binary, args)
}

// NewZstats chooses free ports for a `zstats run` with its data in dir, which Restart then starts.
func NewZstats(dir string) (*Zstats, error) {
	addrs, err := freeaddr.Loopback(3)
	if err != nil {
		return nil, err
	}
	return &Zstats{Dir: dir, IngestAddr: addrs[0], NotifierAddr: addrs[1], AdminAddr: addrs[2]}, nil
}

// Restart runs it again, on the same addresses and data, and waits until it is ready.
func (z *Zstats) Restart(ctx context.Context, binary string, args ...string) error {
	return z.start(ctx, binary, args)
}

func (z *Zstats) start(ctx context.Context, binary string, args []string) (err error) {
	all := append([]string{
		"run", "--data-dir", z.Dir, "--ingest.addr", z.IngestAddr, "--notifier.addr", z.NotifierAddr, "--admin.addr", z.AdminAddr,
	}, args...)
	if z.Process, err = StartIn(z.Env, binary, all...); err != nil {
		return err
	}
	if err := z.WaitReady(ctx); err != nil {
		z.Kill()
		return err
	}
	return nil
}

// WaitReady waits until /-/ready answers 200.
func (z *Zstats) WaitReady(ctx context.Context) error {
	return waitOK(ctx, z.Process, "http://"+z.AdminAddr+"/-/ready")
}

// Metrics returns the text of /metrics.
func (z *Zstats) Metrics(ctx context.Context) (string, error) {
	return httpGet(ctx, "http://"+z.AdminAddr+"/metrics")
}

func do(req *http.Request) (string, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", &statusError{fmt.Sprintf("%s: %s: %s", req.URL.Path, resp.Status, body)}
	}
	return string(body), nil
}

// statusError is an answer other than 200.
type statusError struct{ text string }

func (e *statusError) Error() string { return e.text }

// Files returns the directory of files.
func (z *Zstats) Files() string { return filepath.Join(z.Dir, "files") }

// lockedBuffer is written by the process's pipes and read by tests.
type lockedBuffer struct {
	mu   sync.Mutex // guards data
	data []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}
