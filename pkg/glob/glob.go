// Package glob matches names with patterns, as the notifier and the commands take them for targets. It is pure.
package glob

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxBytes bounds a pattern, and with it the work for one match.
const maxBytes = 1024

// Glob is a pattern for a whole string: '*' is any run of characters, '?' one, a backslash takes the next literally. The
// empty Glob matches everything.
type Glob []token

type token struct {
	kind kind
	char rune // of a literal
}

type kind uint8

const (
	literal kind = iota
	anyOne
	anyRun
)

// Parse reads a pattern of at most 1,024 bytes.
func Parse(pattern string) (Glob, error) {
	if len(pattern) > maxBytes {
		return nil, fmt.Errorf("the pattern has %d bytes, more than %d", len(pattern), maxBytes)
	}
	var g Glob
	escaped := false
	for _, c := range pattern {
		switch {
		case escaped:
			g, escaped = append(g, token{literal, c}), false
		case c == '\\':
			escaped = true
		case c == '?':
			g = append(g, token{kind: anyOne})
		case c == '*' && len(g) > 0 && g[len(g)-1].kind == anyRun: // "**" says no more than "*"
		case c == '*':
			g = append(g, token{kind: anyRun})
		default:
			g = append(g, token{literal, c})
		}
	}
	if escaped {
		return nil, errors.New(`the pattern ends in a backslash; "\\" stands for one`)
	}
	return g, nil
}

// Match reports whether the whole of s matches. When characters and pattern disagree it goes back to the last star and lets
// it take one character more, so it takes at most len(g)·len(s) steps.
func (g Glob) Match(s string) bool {
	if len(g) == 0 {
		return true
	}
	at := 0                   // token to match next
	star, taken := -1, 0      // the last star, and where in s its run ends
	for i := 0; i < len(s); { // i is the byte to match next
		c, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case at < len(g) && g[at].kind == anyRun:
			star, taken = at, i
			at++
		case at < len(g) && (g[at].kind == anyOne || g[at].char == c):
			at++
			i += width
		case star >= 0:
			_, width = utf8.DecodeRuneInString(s[taken:])
			taken += width
			at, i = star+1, taken
		default:
			return false
		}
	}
	return at == len(g) || at == len(g)-1 && g[at].kind == anyRun
}
