package event

import (
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/scrape"
)

// TestTargetHeader: every name comes back, also from a header that has lost the spaces at its ends, as NATS does to it.
func TestTargetHeader(t *testing.T) {
	for _, name := range []string{
		"192.168.120.51:9100.prometheus", "a b", " a", "a ", "\u00a0a", "%", "a%20b", "%zz", "100% ", "é:1.j", "a+b/c?d=e&f;g",
	} {
		for _, source := range []string{"", "east"} {
			want := scrape.Target{Account: "acme", Source: source, Name: name}
			h := TargetHeader(want)
			for k, v := range h {
				h[k] = strings.Trim(v, " \t")
			}
			got, err := h.Target()
			if err != nil || got != want {
				t.Errorf("%q comes back as %q, %v", want, got, err)
			}
		}
	}
	if h := TargetHeader(scrape.Target{Account: "acme", Name: "h:1.j"}); h[HeaderTarget] != "h:1.j" {
		t.Errorf("an ordinary name becomes %q", h[HeaderTarget])
	}
}

func TestTargetHeaderErrors(t *testing.T) {
	for name, h := range map[string]Header{
		"nothing":    {},
		"no account": {HeaderTarget: "h:1.j"},
		"no target":  {HeaderAccount: "acme"},
		"bad escape": {HeaderAccount: "acme", HeaderTarget: "a%zz"},
	} {
		if got, err := h.Target(); err == nil {
			t.Errorf("%s: target %v, want an error", name, got)
		}
	}
}
