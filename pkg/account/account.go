// Package account knows which account, and which source within it, a collector's token stands for.
package account

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Grant is what a token stands for.
type Grant struct {
	// Account is the tenant.
	Account string
	// Source is the cluster or site within the account; empty when the token names none.
	Source string
}

// Tokens maps tokens to grants. It keeps only hashes of the tokens, and is safe for concurrent use.
type Tokens struct {
	grants atomic.Pointer[grants]
}

type grants map[[sha256.Size]byte]Grant

// Parse reads entries of the form NAME:TOKEN or NAME@SOURCE:TOKEN. An account may have several tokens; a token stands for one
// grant only.
func Parse(entries []string) (*Tokens, error) {
	t := new(Tokens)
	if err := t.Replace(entries); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace makes the tokens those of the entries, in one step. After an error they are as they were.
func (t *Tokens) Replace(entries []string) error {
	all := make(grants, len(entries))
	for i, entry := range entries {
		name, token, ok := strings.Cut(entry, ":")
		if !ok { // it may be a token alone, which is not to be shown
			return fmt.Errorf("account %d of %d: want NAME:TOKEN or NAME@SOURCE:TOKEN", i+1, len(entries))
		}
		if token == "" {
			return fmt.Errorf("account %q has no token: want NAME:TOKEN or NAME@SOURCE:TOKEN", name)
		}
		var g Grant
		var named bool
		g.Account, g.Source, named = strings.Cut(name, "@")
		if err := checkName(g.Account); err != nil {
			return fmt.Errorf("account %q: %w", name, err)
		}
		if named {
			if err := checkName(g.Source); err != nil {
				return fmt.Errorf("account %q: source: %w", name, err)
			}
		}
		sum := sha256.Sum256([]byte(token))
		if other, taken := all[sum]; taken && other != g {
			return fmt.Errorf("account %q: its token is also that of account %q", name, other.Account)
		}
		all[sum] = g
	}
	t.grants.Store(&all)
	return nil
}

func checkName(name string) error {
	const most = 100
	if name == "" || len(name) > most {
		return fmt.Errorf("a name has 1 to %d characters", most)
	}
	for _, r := range name {
		plain := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r)
		if !plain {
			return errors.New("a name consists of letters, digits, '-', '_' and '.'")
		}
	}
	return nil
}

// Lookup returns the grant of a token. Its time does not depend on how much of the token is right, since only the token's
// hash is compared.
func (t *Tokens) Lookup(token string) (Grant, bool) {
	g, ok := (*t.grants.Load())[sha256.Sum256([]byte(token))]
	return g, ok
}

// Len returns the number of tokens.
func (t *Tokens) Len() int { return len(*t.grants.Load()) }

// ReadFile reads entries from a file: one on each line, with blank lines and lines that begin with '#' left out.
func ReadFile(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	var entries []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			entries = append(entries, line)
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("accounts: %s names none; write NAME:TOKEN on a line", name)
	}
	return slices.Clip(entries), nil
}
