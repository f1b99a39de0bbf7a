package account

import (
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
		{"no token", "want NAME:TOKEN", []string{"acme"}},
		{"empty token", "want NAME:TOKEN", []string{"acme:"}},
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
			if err != nil && strings.Contains(err.Error(), ":token") {
				t.Errorf("error %v shows the token", err)
			}
		})
	}
}
