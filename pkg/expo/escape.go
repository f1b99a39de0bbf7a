package expo

import (
	"strings"
	"unicode/utf8"
)

// replacement stands for what the text format can't hold.
const replacement = "\uFFFD"

// cleanText returns s as valid UTF-8.
func cleanText(s string) string { return strings.ToValidUTF8(s, replacement) }

// cleanName returns s as a name that both parsers read: valid UTF-8 without NUL, where Prometheus' lexer stops.
func cleanName(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return strings.ReplaceAll(cleanText(s), "\x00", replacement)
		}
	}
	return s
}

// isPlainMetric reports whether a metric name needs no quotes.
func isPlainMetric(s string) bool { return isPlain(s, true) }

// isPlainLabel reports whether a label name needs no quotes.
func isPlainLabel(s string) bool { return isPlain(s, false) }

func isPlain(s string, colon bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case '0' <= c && c <= '9' && i > 0:
		case c == ':' && colon:
		default:
			return false
		}
	}
	return s != ""
}

// appendQuoted appends s in quotes, with the format's three escapes.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, true)
	return append(dst, '"')
}

// appendHelp appends a help text, in which quotes stand for themselves.
func appendHelp(dst []byte, s string) []byte { return appendEscaped(dst, s, false) }

func appendEscaped(dst []byte, s string, quotes bool) []byte {
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\n':
			c = 'n'
		case c == '\\', c == '"' && quotes:
		default:
			continue
		}
		dst = append(dst, s[done:i]...)
		dst = append(dst, '\\', c)
		done = i + 1
	}
	return append(dst, s[done:]...)
}

// unescape undoes appendEscaped. A backslash before anything else stands for itself, as in Prometheus' parser.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for ; i >= 0; i = strings.IndexByte(s, '\\') {
		out = append(out, s[:i]...)
		s = s[i+1:]
		switch {
		case s == "" || s[0] != 'n' && s[0] != '"' && s[0] != '\\':
			out = append(out, '\\')
		case s[0] == 'n':
			out, s = append(out, '\n'), s[1:]
		default:
			out, s = append(out, s[0]), s[1:]
		}
	}
	return string(append(out, s...))
}
