package expo

import (
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

const blanks = " \t"

// appendSeriesLabels appends the labels of a series as an exposition writes it, without value and time: the metric's name
// first, then the labels in their order. The text must have passed textparse; from any other it makes something, without
// endless loops or panics. It exists because textparse's own Labels rewrites the values of le and quantile.
func appendSeriesLabels(dst []scrape.Label, s string) []scrape.Label {
	s = strings.TrimLeft(s, blanks)
	if name := s[:bareLength(s, blanks+"{")]; name != "" {
		dst = append(dst, scrape.Label{Name: scrape.MetricName, Value: name})
		s = strings.TrimLeft(s[len(name):], blanks)
	}
	if s == "" {
		return dst
	}
	for s = s[1:]; ; {
		s = strings.TrimLeft(s, blanks+",")
		if s == "" || s[0] == '}' {
			return dst
		}
		var name, value string
		name, s = nextToken(s)
		s = strings.TrimLeft(s, blanks)
		if s == "" || s[0] != '=' {
			dst = append(dst, scrape.Label{Name: scrape.MetricName, Value: name})
			continue
		}
		value, s = nextToken(strings.TrimLeft(s[1:], blanks))
		dst = append(dst, scrape.Label{Name: name, Value: value})
	}
}

// nextToken returns the quoted string or bare name that s begins with, unescaped, and what follows.
func nextToken(s string) (token, rest string) {
	if s == "" || s[0] != '"' {
		n := bareLength(s, blanks+"=,}")
		return s[:n], s[n:]
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[1:i]), s[i+1:]
		}
	}
	return unescape(s[1:]), ""
}

// bareLength returns how much of s precedes the first of the given characters.
func bareLength(s, chars string) int {
	if n := strings.IndexAny(s, chars); n >= 0 {
		return n
	}
	return len(s)
}
