package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/zstats/zstats/notifier/push"
)

// pushSettings say which downstream service is told of each scrape, and how.
type pushSettings struct {
	address     string
	timeout     time.Duration
	concurrency int
	attempts    int
	root        string
	tls         bool
	caFile      string
}

func (s *pushSettings) register(f *pflag.FlagSet) {
	f.StringVar(&s.address, "notifier.push.address", "", "service stingestproto.StatsIngestSvc to call for each scrape, HOST:PORT; none if empty")
	f.DurationVar(&s.timeout, "notifier.push.timeout", time.Minute, "how long one call of that service may take, up to an hour")
	f.IntVar(&s.concurrency, "notifier.push.concurrency", 512, "most calls of that service at one time")
	f.IntVar(&s.attempts, "notifier.push.attempts", 1000, "failed calls for one scrape, while others are taken, after which it is left aside; 0: it never is")
	f.StringVar(&s.root, "notifier.push.root", "", "directory of the files as that service sees it; empty for the one of 'zstats run' itself")
	f.BoolVar(&s.tls, "notifier.push.tls", false, "call that service with TLS")
	f.StringVar(&s.caFile, "notifier.push.ca-file", "", "PEM file with the authorities to trust instead of the system's; implies notifier.push.tls")
}

func (s *pushSettings) validate() error {
	if s.address == "" {
		if s.root != "" || s.tls || s.caFile != "" {
			return errors.New("notifier.push.root, tls or ca-file is set without notifier.push.address: nothing would be pushed")
		}
		return nil
	}
	if err := s.options().Validate(); err != nil {
		return fmt.Errorf("notifier.push.%w", err)
	}
	return nil
}

func (s *pushSettings) options() push.Options {
	return push.Options{Addr: s.address, Root: s.root, Timeout: s.timeout, Concurrency: s.concurrency, Attempts: s.attempts}
}

// tlsConfig returns how the service is verified; nil without TLS.
func (s *pushSettings) tlsConfig() (*tls.Config, error) {
	if !s.tls && s.caFile == "" {
		return nil, nil
	}
	roots, err := authorities(s.caFile)
	if err != nil {
		return nil, fmt.Errorf("notifier.push.ca-file: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// openPosition makes the position of what is pushed, if that is wanted and it is missing: before anything can be written.
func (s *pushSettings) openPosition(ctx context.Context, log push.Log) error {
	if s.address == "" {
		return nil
	}
	_, err := push.OpenPosition(ctx, log)
	return err
}

// pushers returns what calls the downstream service, if there is one; files is the directory of files, if this process knows it.
func (p *process) pushers(files string) ([]actor, error) {
	s := p.settings.push
	if s.address == "" {
		return nil, nil
	}
	o := s.options()
	o.Log, o.Logger, o.Registerer = p.bus, p.log, p.registry
	var err error
	if o.TLS, err = s.tlsConfig(); err != nil {
		return nil, err
	}
	if o.Root == "" {
		if o.Root, err = filepath.Abs(files); err != nil {
			return nil, err
		}
	}
	pusher, err := push.New(o)
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	return []actor{{"push", pusher.Run}}, nil
}
