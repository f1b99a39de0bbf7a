package harness

import (
	"context"
	"errors"

	"github.com/zstats/zstats/test/freeaddr"
)

// Service is a running subcommand of zstats that serves until it is stopped.
type Service struct {
	*Process
	AdminAddr string
	binary    string
	args      []string
}

// StartService runs a subcommand with its admin server on a free port. It may not be ready yet.
func StartService(binary, subcommand string, args ...string) (*Service, error) {
	addrs, err := freeaddr.Loopback(1)
	if err != nil {
		return nil, err
	}
	s := &Service{AdminAddr: addrs[0], binary: binary, args: append([]string{subcommand, "--admin.addr", addrs[0]}, args...)}
	return s, s.Restart()
}

// Restart runs it again, with the same arguments.
func (s *Service) Restart() (err error) {
	s.Process, err = Start(s.binary, s.args...)
	return err
}

// WaitReady waits until /-/ready answers 200.
func (s *Service) WaitReady(ctx context.Context) error {
	return waitOK(ctx, s.Process, "http://"+s.AdminAddr+"/-/ready")
}

// WaitUp waits until the process answers at all; before, a signal may find it with no handler yet.
func (s *Service) WaitUp(ctx context.Context) error {
	return waitOK(ctx, s.Process, "http://"+s.AdminAddr+"/-/healthy")
}

// Metrics returns the text of /metrics.
func (s *Service) Metrics(ctx context.Context) (string, error) {
	return httpGet(ctx, "http://"+s.AdminAddr+"/metrics")
}

// Ready reports whether /-/ready answers 200 now; the error is that of a process that does not answer at all.
func (s *Service) Ready(ctx context.Context) (bool, error) {
	_, err := httpGet(ctx, "http://"+s.AdminAddr+"/-/ready")
	var refused *statusError
	if errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}
