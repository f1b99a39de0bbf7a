package glob

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"", []string{"", "anything"}, nil},
		{"*", []string{"", "a", "a\nb", "üñ"}, nil},
		{"**", []string{"", "a"}, nil},
		{"?", []string{"a", "ü", "日"}, []string{"", "ab"}},
		{"a", []string{"a"}, []string{"", "b", "aa", "A"}},
		{"a*", []string{"a", "ab", "a*"}, []string{"", "ba"}},
		{"*a", []string{"a", "ba", "aaa"}, []string{"", "ab"}},
		{"a*b*c", []string{"abc", "a1b2c", "abbcc", "abcbc"}, []string{"ac", "acb", "abcd"}},
		{"*ab?", []string{"abc", "ababx", "aabc"}, []string{"ab", "abcd"}},
		{`\*\?\\`, []string{`*?\`}, []string{`a?\`, `*a\`, `*?`}},
		{`\a`, []string{"a"}, []string{`\a`}},
		{"[ab]{c}.d", []string{"[ab]{c}.d"}, []string{"a", "[ab]{c}xd"}},
	} {
		g, err := Parse(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		for _, s := range c.yes {
			if !g.Match(s) {
				t.Errorf("%q doesn't match %q", c.pattern, s)
			}
		}
		for _, s := range c.no {
			if g.Match(s) {
				t.Errorf("%q matches %q", c.pattern, s)
			}
		}
	}
}

func TestGlobRefuses(t *testing.T) {
	for _, pattern := range []string{`\`, `a*\`, `\\\`, strings.Repeat("a", maxBytes+1)} {
		if _, err := Parse(pattern); err == nil {
			t.Errorf("%.20q: no error", pattern)
		}
	}
}

// A pattern of many stars takes at most as many steps as pattern times text.
func TestGlobDoesNotExplode(t *testing.T) {
	g, err := Parse(strings.Repeat("*a", maxBytes/2-1) + "*b")
	if err != nil {
		t.Fatal(err)
	}
	if g.Match(strings.Repeat("a", 20_000)) {
		t.Error("it matches")
	}
}

// FuzzGlob compares with regular expressions.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "axxbyc"}, {`\**`, "*x"}, {"*.node", "h:1.node"}, {"", "x"}, {`x\`, "x"}, {"?", "\xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			return // protobuf strings are valid
		}
		g, err := Parse(pattern)
		if err != nil {
			return
		}
		if got, want := g.Match(s), pattern == "" || expression(pattern).MatchString(s); got != want {
			t.Errorf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func expression(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	escaped := false
	for _, c := range pattern {
		switch {
		case !escaped && c == '\\':
			escaped = true
			continue
		case !escaped && c == '*':
			b.WriteString(".*")
		case !escaped && c == '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
		escaped = false
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}
