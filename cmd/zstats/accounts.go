package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/account"
)

// accounts returns the tokens that are let in. Ingest and notifier share them, so that a reload changes both.
func (p *process) accounts() (*account.Tokens, error) {
	if p.tokens != nil {
		return p.tokens, nil
	}
	entries, err := p.accountEntries()
	if err != nil {
		return nil, err
	}
	p.tokens, err = account.Parse(entries)
	return p.tokens, err
}

// accountEntries returns the accounts that are named; in `zstats run` the one of the data directory if none is.
func (p *process) accountEntries() ([]string, error) {
	entries := slices.Clone(p.settings.accounts)
	if p.settings.accountFile != "" {
		more, err := account.ReadFile(p.settings.accountFile)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	if len(entries) == 0 && p.dir != nil {
		token, err := p.dir.defaultToken()
		if err != nil {
			return nil, err
		}
		entries = append(entries, "default:"+token)
	}
	return entries, nil
}

// reload reads the accounts again on each SIGHUP, until ctx ends.
func (p *process) reload(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			p.reloadAccounts()
		}
	}
}

func (p *process) reloadAccounts() {
	if p.tokens == nil || p.settings.accountFile == "" {
		p.log.Info("SIGHUP: there is nothing to read again; only --account-file is")
		return
	}
	entries, err := p.accountEntries()
	if err == nil {
		err = p.tokens.Replace(entries)
	}
	if err != nil {
		p.log.Error("the accounts can't be read again, those of before stay in use", zap.Error(err))
		return
	}
	p.log.Info("read the accounts again", zap.String("file", p.settings.accountFile), zap.Int("tokens", p.tokens.Len()))
}

// madeUpID returns a name for a worker on a host, unlike any other.
func madeUpID(host string) string {
	plain := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, host)
	return fmt.Sprintf("%.40s-%s", plain, strings.ToLower(rand.Text()[:8]))
}
