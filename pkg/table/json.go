package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes a value as one line. What doesn't print is escaped, also where JSON would allow it as it is.
func JSON(w io.Writer, v any) error {
	var encoded bytes.Buffer
	e := json.NewEncoder(&encoded)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(append(escape(bytes.TrimSuffix(encoded.Bytes(), []byte("\n"))), '\n'))
	return err
}

func escape(line []byte) []byte {
	out := make([]byte, 0, len(line)+1)
	for _, r := range string(line) {
		if unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
