package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/config"
)

// logSource is where a tool finds the log: on NATS servers, or in a data directory, whether a process runs on it or not.
type logSource struct {
	dataDir         string
	natsURL         string
	natsCredentials string
	own             bool // set by open: no other process uses the log in the data directory

	flags *pflag.FlagSet // with the two above, if the environment may name the servers
}

func (s *logSource) register(f *pflag.FlagSet) {
	f.StringVar(&s.dataDir, "data-dir", "./data", "data directory of 'zstats run', which may be running")
	f.StringVar(&s.natsURL, "nats-url", "", "external NATS servers with the log, instead of a data directory; also "+config.Variable("nats-url"))
	s.flags = f
	f.StringVar(&s.natsCredentials, "nats.credentials", "", "NATS credentials file")
}

// fromEnvironment takes the servers from where services have them too, as in their containers, unless a flag says where the log is.
func (s *logSource) fromEnvironment() {
	if s.flags != nil && s.natsURL == "" && !s.flags.Changed("data-dir") {
		s.natsURL = os.Getenv(config.Variable("nats-url"))
	}
}

// open connects to the log. The result's second value closes it.
func (s *logSource) open(ctx context.Context, command string) (*bus.Bus, func(), error) {
	s.fromEnvironment()
	o := bus.Options{URL: s.natsURL, Credentials: s.natsCredentials, Name: "zstats " + command}
	if s.natsURL != "" {
		if err := bus.CheckURL(o.URL); err != nil {
			return nil, nil, usagef("nats-url: %w", err)
		}
		b, err := bus.Connect(o)
		if err != nil {
			return nil, nil, err
		}
		return b, b.Close, nil
	}
	return s.openDir(ctx, o)
}

// openDir uses the server of the process that holds the data directory, or else starts one of its own.
func (s *logSource) openDir(ctx context.Context, o bus.Options) (*bus.Bus, func(), error) {
	if _, err := os.Stat(filepath.Join(s.dataDir, logDir)); err != nil {
		return nil, nil, fmt.Errorf("there is no log in %s (%w): name the directory of 'zstats run' with --data-dir, or NATS servers with --nats-url", s.dataDir, err)
	}
	dir, err := openDataDir(s.dataDir)
	if errors.Is(err, errInUse) {
		return s.join(o)
	}
	if err != nil {
		return nil, nil, err
	}
	server, err := bus.StartServer(ctx, bus.ServerOptions{Dir: dir.log(), Logger: zap.NewNop()})
	if err != nil {
		dir.close()
		return nil, nil, err
	}
	o.Server = server
	b, err := bus.Connect(o)
	if err != nil {
		server.Close()
		dir.close()
		return nil, nil, err
	}
	s.own = true
	return b, func() { b.Close(); server.Close(); dir.close() }, nil
}

// join connects to the server of the process that holds the data directory.
func (s *logSource) join(o bus.Options) (*bus.Bus, func(), error) {
	url, err := os.ReadFile(urlFile(s.dataDir))
	if err != nil {
		return nil, nil, fmt.Errorf("another zstats holds %s and has not opened its log yet, or keeps it elsewhere (%w): try again, or name its NATS servers with --nats-url", s.dataDir, err)
	}
	o.URL = strings.TrimSpace(string(url))
	b, err := bus.Connect(o)
	if err != nil {
		return nil, nil, err
	}
	return b, b.Close, nil
}
