package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// TestStartOnAFullDisk: a process that finds no room at its start waits for it and says so, and can be stopped meanwhile.
func TestStartOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to mount a file system takes root")
	}
	for _, ran := range []bool{false, true} {
		name := map[bool]string{false: "for the first time", true: "again"}[ran]
		t.Run(name, func(t *testing.T) { startOnAFullDisk(t, ran) })
	}
}

func startOnAFullDisk(t *testing.T, ran bool) {
	dir := t.TempDir()
	disk.Mount(t, dir, 1<<30)
	args := []string{
		"--data-dir", dir, "--ingest.addr", "127.0.0.1:0", "--notifier.addr", "127.0.0.1:0", "--account", "acme:t", "--collect-self=false",
		"--log.reserve", "16MiB", "--writer.reserve", "16MiB",
	}
	start := func() *harness.Service {
		s, err := harness.StartService(zstatsBinary, "run", args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Kill() })
		return s
	}
	stop := func(s *harness.Service) {
		if err := s.Stop(10 * time.Second); err != nil {
			t.Errorf("stop: %v\n%s", err, s.Output())
		}
	}
	if ran {
		s := start()
		if err := s.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop(s)
	} else if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o750); err != nil {
		t.Fatal(err)
	}
	empty := disk.Fill(t, dir, 0)
	early := start()
	eventually.Succeeds(t, "it says that it is not ready", func() error { return notReady(t, early) })
	stop(early)
	s := start()
	eventually.Succeeds(t, "it says that it is not ready", func() error { return notReady(t, s) })
	empty()
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(s)
}

// notReady returns nil once the process answers that it is not ready.
func notReady(t *testing.T, s *harness.Service) error {
	select {
	case <-s.Ended():
		t.Fatalf("it has ended:\n%s", s.Output())
	default:
	}
	if _, err := s.Metrics(t.Context()); err != nil {
		return err
	}
	ready, err := s.Ready(t.Context())
	if err == nil && ready {
		err = errors.New("it says that it is ready")
	}
	return err
}
