package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// The older server's configuration file, and the variables that name it and its certificate.
const (
	// LegacyFlag is the flag that names the file; LegacyVariable is what the older server called it.
	LegacyFlag     = "legacy-config"
	LegacyVariable = "ZEBRIUM_STATS_CONFIG_FILE_LOC"
	// legacyPEM names one file with the certificate and its key.
	legacyPEM = "PEMFILE"
)

// Note is a key of an older file that needs no setting any more.
type Note struct {
	Place string // "file:line"
	Key   string
	Text  string
}

// legacyKey says what becomes of one key of the older file.
type legacyKey struct {
	// set turns a value into settings; nil if nothing needs to be set any more, for the reason in why.
	set func(l *legacy, v legacyValue) error
	why string
}

// legacyValue is a value as it stands in the file: a number, a string, or true or false.
type legacyValue struct {
	text string
	line int
}

func (v legacyValue) whole() (int64, error) {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a whole number", v.text)
	}
	return n, nil
}

func (v legacyValue) on() (bool, error) {
	switch v.text {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither 0 nor 1", v.text)
}

// legacy is an older file on its way to settings.
type legacy struct {
	getenv  func(string) (string, bool)
	entries []entry
	// The downstream service is spread over several keys.
	notify     bool
	notifyLine int
	host, port string
	timeout    string
	calls      string
}

func (l *legacy) add(name string, line int, values ...string) {
	l.entries = append(l.entries, entry{name: name, values: values, line: line})
}

// legacyKeys returns all keys of the older file.
func legacyKeys() map[string]legacyKey {
	const (
		bounded = "memory is bounded by bytes, see assembler.cache-bytes"
		limited = "requests are bounded by their bytes"
	)
	keys := map[string]legacyKey{
		"stats.enabled":          {set: (*legacy).enabled},
		"stats.https_enabled":    {set: (*legacy).https},
		"stats.http_port":        {set: (*legacy).httpPort},
		"stats.stingest_host":    {set: func(l *legacy, v legacyValue) error { l.host = v.text; return nil }},
		"stats.stingest_port":    {set: number(func(l *legacy) *string { return &l.port })},
		"stats.stingest_timeout": {set: number(func(l *legacy) *string { return &l.timeout })},
		"bridger.notify_stingest": {set: func(l *legacy, v legacyValue) (err error) {
			l.notify, err = v.on()
			l.notifyLine = v.line
			return err
		}},
		"bridger.stingests_qd": {set: number(func(l *legacy) *string { return &l.calls })},
		"stats.reqs_dir":       {set: func(l *legacy, v legacyValue) error { l.add("files-dir", v.line, v.text); return nil }},
		"stats.keep_tmp_files": {why: "the older server did not use it either"},
		"stats.reqs_max":       {why: limited},
		"stats.serializer_qd":  {why: limited},
	}
	for _, name := range []string{
		"drop_after_secs_lw", "drop_after_secs_hw", "cache_entries_low_wmark", "cache_entries_high_wmark", "cache_bkts",
	} {
		keys["zvcacher."+name] = legacyKey{why: bounded}
	}
	return keys
}

// number returns a setter for a key whose value is a whole number.
func number(field func(*legacy) *string) func(*legacy, legacyValue) error {
	return func(l *legacy, v legacyValue) error {
		_, err := v.whole()
		*field(l) = v.text
		return err
	}
}

func (l *legacy) enabled(v legacyValue) error {
	on, err := v.on()
	if err == nil && !on {
		err = errors.New("the file switches the server off; set it to 1 to run")
	}
	return err
}

func (l *legacy) https(v legacyValue) error {
	on, err := v.on()
	if err != nil || !on {
		return err
	}
	pem, ok := l.getenv(legacyPEM)
	if !ok || pem == "" {
		return fmt.Errorf("HTTPS needs a file with the certificate and its key: name it with the variable %s", legacyPEM)
	}
	l.add("ingest.tls-cert", v.line, pem)
	l.add("ingest.tls-key", v.line, pem)
	return nil
}

func (l *legacy) httpPort(v legacyValue) error {
	n, err := v.whole()
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is no port", v.text)
	}
	l.add("ingest.addr", v.line, ":"+v.text) // on all interfaces, as the older server
	return nil
}

// conclude turns what stands in several keys into settings.
func (l *legacy) conclude() error {
	if !l.notify {
		return nil
	}
	if l.host == "" || l.port == "" {
		return fmt.Errorf("%d: bridger.notify_stingest is on, but stats.stingest_host and stats.stingest_port don't say where to", l.notifyLine)
	}
	l.add("notifier.push.address", l.notifyLine, net.JoinHostPort(l.host, l.port))
	if l.timeout != "" {
		l.add("notifier.push.timeout", l.notifyLine, l.timeout+"s")
	}
	if l.calls != "" {
		l.add("notifier.push.concurrency", l.notifyLine, l.calls)
	}
	return nil
}

// parseLegacy reads an older file. Errors begin with the line.
func parseLegacy(data []byte, getenv func(string) (string, bool)) (entries []entry, notes []Note, err error) {
	values, order, err := legacyValues(data)
	if err != nil {
		return nil, nil, err
	}
	l, keys := &legacy{getenv: getenv}, legacyKeys()
	for _, name := range order {
		v := values[name]
		key, ok := keys[name]
		switch {
		case !ok:
			return nil, nil, fmt.Errorf("%d: the older server had no key %q", v.line, name)
		case key.set == nil:
			notes = append(notes, Note{Place: strconv.Itoa(v.line), Key: name, Text: "no longer needed: " + key.why})
			continue
		}
		if err := key.set(l, v); err != nil {
			return nil, nil, fmt.Errorf("%d: %s: %w", v.line, name, err)
		}
	}
	return l.entries, notes, l.conclude()
}

// legacyValues reads the keys of a JSON object, in which lines that begin with '#' are comments. Nested objects give keys with
// dots, so that {"stats": {"http_port": 1}} and {"stats.http_port": 1} are the same.
func legacyValues(data []byte) (values map[string]legacyValue, order []string, err error) {
	text := withoutComments(data)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	r := &legacyReader{decoder: d, text: text, values: make(map[string]legacyValue)}
	if err := r.object(""); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%d: there is something behind the object", r.line())
	}
	return r.values, r.order, nil
}

// withoutComments blanks lines that begin with '#', so that offsets and lines stay what they are.
func withoutComments(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
			line = append(bytes.Repeat([]byte(" "), len(line)-1), '\n')
		}
		out = append(out, line...)
	}
	return out
}

type legacyReader struct {
	decoder *json.Decoder
	text    []byte
	values  map[string]legacyValue
	order   []string
}

// line returns the line in which the last token ends.
func (r *legacyReader) line() int {
	return 1 + bytes.Count(r.text[:r.decoder.InputOffset()], []byte("\n"))
}

func (r *legacyReader) object(prefix string) error {
	token, err := r.decoder.Token()
	if err != nil || token != json.Delim('{') {
		return fmt.Errorf("%d: want a JSON object", r.line())
	}
	return r.members(prefix)
}

// members reads the rest of an object whose brace is read.
func (r *legacyReader) members(prefix string) error {
	for {
		token, err := r.decoder.Token()
		if err != nil {
			return fmt.Errorf("%d: %s", r.line(), strings.TrimPrefix(err.Error(), "json: "))
		}
		name, ok := token.(string)
		if !ok {
			return nil // the closing brace
		}
		if err := r.member(prefix + name); err != nil {
			return err
		}
	}
}

func (r *legacyReader) member(name string) error {
	token, err := r.decoder.Token()
	if err != nil {
		return fmt.Errorf("%d: %s", r.line(), strings.TrimPrefix(err.Error(), "json: "))
	}
	v := legacyValue{line: r.line()}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return r.members(name + ".")
		}
		return fmt.Errorf("%d: %s: a list is no value", v.line, name)
	case nil:
		return fmt.Errorf("%d: %s has no value", v.line, name)
	default:
		v.text = fmt.Sprint(t)
	}
	if before, ok := r.values[name]; ok {
		return fmt.Errorf("%d: %s is set in line %d already", v.line, name, before.line)
	}
	r.values[name] = v
	r.order = append(r.order, name)
	return nil
}

// legacyFile returns the name of the older file, empty if there is none.
func (r *resolver) legacyFile() string {
	if f := r.flags.Lookup(LegacyFlag); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	name, _ := r.sources.Getenv(LegacyVariable)
	return name
}

// legacy takes what an older file says of settings that nothing else has set.
func (r *resolver) legacy() error {
	if r.flags.Lookup(LegacyFlag) == nil || r.legacyFile() == "" {
		return nil
	}
	name := r.legacyFile()
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("older configuration file: %w", err)
	}
	entries, notes, err := parseLegacy(data, r.sources.Getenv)
	if err != nil {
		return fmt.Errorf("%s:%w", name, err)
	}
	for _, n := range notes {
		n.Place = name + ":" + n.Place
		r.notes = append(r.notes, n)
	}
	return r.take(name, entries)
}
