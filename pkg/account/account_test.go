package account

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	tokens, err := Parse([]string{"acme:one", "acme@eu-west.1:two", "acme:with:colons", "other:three", "acme:one"})
	if err != nil {
		t.Fatal(err)
	}
	if tokens.Len() != 4 {
		t.Errorf("%d tokens, want 4", tokens.Len())
	}
	for token, want := range map[string]Grant{
		"one":         {Account: "acme"},
		"two":         {Account: "acme", Source: "eu-west.1"},
		"with:colons": {Account: "acme"},
		"three":       {Account: "other"},
	} {
		if got, ok := tokens.Lookup(token); !ok || got != want {
			t.Errorf("token %q stands for %+v, %v; want %+v", token, got, ok, want)
		}
	}
	for _, token := range []string{"", "on", "onee", "ONE", "acme:one"} {
		if got, ok := tokens.Lookup(token); ok {
			t.Errorf("token %q stands for %+v", token, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		entries    []string
	}{
		{"no token", "account 2 of 2: want NAME:TOKEN", []string{"acme:t", "s3cret"}},
		{"empty token", `"acme" has no token`, []string{"acme:"}},
		{"empty name", "1 to 100", []string{":token"}},
		{"separator in the name", "letters", []string{"a/b:token"}},
		{"long name", "1 to 100", []string{strings.Repeat("a", 101) + ":token"}},
		{"bad source", "source", []string{"acme@a b:token"}},
		{"empty source", "source", []string{"acme@:token"}},
		{"one token for two accounts", "also that of", []string{"a:token", "b:token"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.entries)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if err != nil && (strings.Contains(err.Error(), ":token") || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("error %v shows the token", err)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	tokens, err := Parse([]string{"acme:one"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Replace([]string{"acme:two", "bad"}); err == nil {
		t.Error("a bad entry was taken")
	}
	if _, ok := tokens.Lookup("one"); !ok {
		t.Error("after an error the tokens are no longer those of before")
	}
	if err := tokens.Replace([]string{"acme:two"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := tokens.Lookup("one"); ok || tokens.Len() != 1 {
		t.Error("a token that was taken away is still known")
	}
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "accounts")
	for text, want := range map[string]int{"# all\n\nacme:one\n  b@x:two \n": 2, "acme:one": 1, "#\n": 0} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		entries, err := ReadFile(name)
		if len(entries) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %q, %v; want %d entries", text, entries, err, want)
		}
	}
	if _, err := ReadFile(name + "x"); err == nil {
		t.Error("a file that is not there: no error")
	}
}
