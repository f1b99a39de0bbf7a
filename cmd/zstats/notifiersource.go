package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/subscribe"
)

// notifierSource is the notifier that a tool asks, and how.
type notifierSource struct {
	addr   string
	token  string
	tls    bool
	caFile string
}

func (s *notifierSource) register(f *pflag.FlagSet) {
	f.StringVar(&s.addr, "notifier", "127.0.0.1:9906", "address of the notifier, HOST:PORT")
	f.StringVar(&s.token, "token", "", "token of an account, if the notifier asks for one; better in the environment, where others can't see it, as "+tokenVariable)
	f.BoolVar(&s.tls, "tls", false, "connect with TLS")
	f.StringVar(&s.caFile, "ca-file", "", "PEM file with the authorities to trust instead of the system's; implies --tls")
}

func (s *notifierSource) client() (*subscribe.Client, error) {
	o := subscribe.Options{Addr: s.addr, Token: s.token}
	if o.Token == "" {
		o.Token = os.Getenv(tokenVariable)
	}
	if s.tls || s.caFile != "" {
		roots, err := authorities(s.caFile)
		if err != nil {
			return nil, usagef("--ca-file: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	client, err := subscribe.New(o)
	return client, usage(err)
}

// explain says what to do where nothing answers, or nobody without a token gets in.
func (s *notifierSource) explain(err error) error {
	switch {
	case status.Code(err) == codes.Unauthenticated:
		return fmt.Errorf("%w\nGive the token of an account with "+tokenVariable+", or --token", err)
	case errors.Is(err, subscribe.ErrUnreachable):
		return fmt.Errorf("%w\nIs 'zstats run' running there? Start it, or name another address with --notifier HOST:PORT", err)
	}
	return err
}
