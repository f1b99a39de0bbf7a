package table

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean replaces what doesn't print, so that a name can neither drive a terminal nor break a line.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// Size shows a number of bytes in three digits or fewer, in powers of 1,000.
func Size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	digits := 0
	if value < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit]
}

const ellipsis = "…"

// Fit makes s exactly width characters: padded on its left if right is set, else on its right. What is too long loses its end,
// with an ellipsis in place of it, or its beginning if keepEnd is set.
func Fit(s string, width int, right, keepEnd bool) string {
	n := utf8.RuneCountInString(s)
	switch {
	case n <= width && right:
		return strings.Repeat(" ", width-n) + s
	case n <= width:
		return s + strings.Repeat(" ", width-n)
	case keepEnd:
		return ellipsis + string([]rune(s)[n-width+1:])
	default:
		return string([]rune(s)[:width-1]) + ellipsis
	}
}

// cutMiddle replaces the middle of what is longer than width characters by an ellipsis.
func cutMiddle(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	head := (width - 1) / 2
	return string(runes[:head]) + ellipsis + string(runes[len(runes)-(width-1-head):])
}
