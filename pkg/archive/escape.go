package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxName is the longest escaped name that is used as it is, in bytes. With sourceMark it is below the 255 bytes that file
	// systems allow.
	maxName = 180
	// hashMark stands between a prefix and the hash of a longer name. It occurs in no other escaped name.
	hashMark = '~'
	// maxPrefix leaves room for the mark and 64 digits.
	maxPrefix = maxName - 1 - 2*sha256.Size
	// emptyName stands for the empty string. No other escaped name has a '%' without two digits.
	emptyName = "%"
)

// escape makes any string the name of one directory, reversibly. Letters, digits and most ASCII punctuation stand for
// themselves; '%' and two upper-case hexadecimal digits stand for every other byte:
//
//   - separators, control characters and '%' itself; '~', which marks a hash;
//   - '*', '?', '"', '<', '>', '|', ':' and '\', which some file systems refuse;
//   - every byte that is not ASCII: file systems may normalise Unicode, and so fold two names into one;
//   - '.', '@' and blank at the beginning, which mean something or vanish there, '.' and blank at the end likewise;
//   - the first letter of a name that is a device on Windows, such as "nul" or "com1.log".
//
// A name that would be longer than 180 bytes is a prefix of it, '~' and the SHA-256 of the string in hexadecimal.
func escape(s string) string {
	return escapeBytes(s, func(i int) (byte, bool) { return s[i], isLiteral(s, i) })
}

// escapeTarget is escape for the name of a target, in which the first ':' is written '_', so that "host:9100.job" reads
// "host_9100.job". A '_' before it, and every '_' if there is no ':', is therefore escaped.
func escapeTarget(s string) string {
	colon := strings.IndexByte(s, ':')
	return escapeBytes(s, func(i int) (byte, bool) {
		switch {
		case i == colon:
			return '_', true
		case s[i] == '_' && (i < colon || colon < 0):
			return '_', false
		}
		return s[i], isLiteral(s, i)
	})
}

// escapeBytes writes s with the byte that stands at each position, or the escape of that byte if it isn't literal.
func escapeBytes(s string, at func(int) (c byte, literal bool)) string {
	if s == "" {
		return emptyName
	}
	out := make([]byte, 0, len(s)+8)
	prefix := 0 // how much of out may precede a hash
	for i := range len(s) {
		c, literal := at(i)
		if literal {
			out = append(out, c)
		} else {
			out = appendEscape(out, c)
		}
		if len(out) <= maxPrefix {
			prefix = len(out)
		}
	}
	if len(out) <= maxName {
		return string(out)
	}
	sum := sha256.Sum256([]byte(s))
	return string(out[:prefix]) + string(hashMark) + hex.EncodeToString(sum[:])
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// isLiteral reports whether the byte at position i of s stands for itself.
func isLiteral(s string, i int) bool {
	c := s[i]
	switch {
	case c < ' ' || c >= 0x7f, strings.IndexByte(`%~/\:*?"<>|`, c) >= 0:
		return false
	case i == 0 && (c == '@' || c == '.' || c == ' ' || isDevice(s)), i == len(s)-1 && (c == '.' || c == ' '):
		return false
	}
	return true
}

// isDevice reports whether Windows takes a name for a device, whatever follows its first dot.
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	switch len(stem) {
	case 3:
		return equalsAny(stem, "CON", "PRN", "AUX", "NUL")
	case 4:
		return '0' <= stem[3] && stem[3] <= '9' && equalsAny(stem[:3], "COM", "LPT")
	}
	return false
}

func equalsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(s, w) })
}

// unescape undoes escape. It takes more than escape makes, so the caller must compare.
func unescape(name string) (string, error) {
	if name == emptyName {
		return "", nil
	}
	if strings.IndexByte(name, hashMark) >= 0 {
		return "", fmt.Errorf("%q: %w", name, ErrHashed)
	}
	out := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			out = append(out, name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", fmt.Errorf("%q ends within an escape", name)
		}
		c, err := hex.DecodeString(name[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("%q has an escape that is no byte: %w", name, err)
		}
		out = append(out, c[0])
		i += 2
	}
	return string(out), nil
}

// unescapeTarget undoes escapeTarget: the first '_' that is not escaped is the ':'.
func unescapeTarget(name string) (string, error) {
	before, after, found := strings.Cut(name, "_")
	if !found {
		return unescape(name)
	}
	if strings.IndexByte(name, hashMark) >= 0 {
		return unescape(name)
	}
	var parts [2]string
	for i, part := range [...]string{before, after} {
		if part == "" {
			continue
		}
		var err error
		if parts[i], err = unescape(part); err != nil {
			return "", err
		}
	}
	return parts[0] + ":" + parts[1], nil
}
