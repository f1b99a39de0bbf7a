package archive

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// scrapeType is what the key "type" says of every scrape.
const scrapeType = "prometheus"

// Metadata is what a scrape's json file says.
type Metadata struct {
	// Target is written as account, iid (the name) and source.
	Target scrape.Target
	// Common are the labels that every sample has and that the data file leaves out, sorted by name ("kvs").
	Common []scrape.Label
	// Time is that of the samples without one of their own, in milliseconds since the Unix epoch ("dts").
	Time int64
	// OptionalLabels are names of labels that a learning consumer may ignore ("olabels").
	OptionalLabels []string
	// Generation is the collector's counter; Run the first generation of the run that it is part of.
	Generation int64
	Run        int64
	// Epoch names the scrape within its target, Received is when it arrived, both in microseconds since the Unix epoch.
	Epoch    int64
	Received int64
	// Samples is the number of samples in the data file, Inferred how many of them have a value that is not proven to be what
	// the target said.
	Samples  int
	Inferred int
	// Schema is the hash of the scrape's schema.
	Schema scrape.Hash
}

// NewMetadata describes a scrape of a target that t renders. It shares the lists of t.
func NewMetadata(target scrape.Target, s *scrape.State, t *expo.Template) *Metadata {
	m := &Metadata{
		Target:         target,
		Common:         t.Common(),
		Time:           s.Time,
		OptionalLabels: t.OptionalLabels(),
		Generation:     s.Generation,
		Run:            s.Generation,
		Epoch:          s.Epoch,
		Received:       s.Received,
		Samples:        t.Written(),
		Schema:         s.Schema,
	}
	if n := len(s.Runs); n > 0 {
		m.Run = s.Runs[n-1].First
	}
	for _, position := range s.Inferred {
		if t.Writes(int(position)) {
			m.Inferred++
		}
	}
	return m
}

// SameScrape reports whether both describe one scrape of one target: the same run, generation and time.
func (m *Metadata) SameScrape(o *Metadata) bool {
	return m.Target == o.Target && m.Run == o.Run && m.Generation == o.Generation && m.Time == o.Time
}

// Older reports whether the file is one of the older server, which knew neither generation, run, times of arrival, numbers of
// samples nor schema: they are zero then.
func (m *Metadata) Older() bool { return m.Schema == (scrape.Hash{}) }

// Append appends the metadata as one line of JSON. The same metadata always gives the same bytes, those that encoding/json
// gives without escaping for HTML.
func (m *Metadata) Append(dst []byte) []byte {
	dst = appendString(append(dst, `{"account":`...), m.Target.Account)
	dst = append(dst, `,"type":"`+scrapeType+`","iid":`...)
	dst = appendString(dst, m.Target.Name)
	dst = append(dst, `,"is_compressed":true,"kvs":[`...)
	for i, l := range m.Common {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"key":`...), l.Name)
		dst = appendString(append(dst, `,"value":`...), l.Value)
		dst = append(dst, '}')
	}
	dst = appendInt(append(dst, `],"dts":`...), m.Time)
	dst = append(dst, `,"olabels":[`...)
	for i, name := range m.OptionalLabels {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
	}
	dst = append(dst, ']')
	return m.appendOwn(dst)
}

// appendOwn appends the keys that the older server's files don't have.
func (m *Metadata) appendOwn(dst []byte) []byte {
	if m.Target.Source != "" {
		dst = appendString(append(dst, `,"source":`...), m.Target.Source)
	}
	dst = appendInt(append(dst, `,"generation":`...), m.Generation)
	dst = appendInt(append(dst, `,"run":`...), m.Run)
	dst = appendInt(append(dst, `,"epoch":`...), m.Epoch)
	dst = appendInt(append(dst, `,"received":`...), m.Received)
	dst = appendInt(append(dst, `,"samples":`...), int64(m.Samples))
	dst = appendInt(append(dst, `,"inferred":`...), int64(m.Inferred))
	dst = append(dst, `,"schema":"`...)
	dst = hex.AppendEncode(dst, m.Schema[:])
	return append(dst, "\"}\n"...)
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// appendString appends a JSON string. What is not plain ASCII is left to encoding/json.
func appendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return appendUnusual(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendUnusual(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string in memory can always be encoded
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// document is the form of a json file.
type document struct {
	Account      string     `json:"account"`
	Type         string     `json:"type"`
	IID          string     `json:"iid"`
	IsCompressed bool       `json:"is_compressed"`
	KVs          []keyValue `json:"kvs"`
	DTS          int64      `json:"dts"`
	OLabels      []string   `json:"olabels"`
	Source       string     `json:"source,omitempty"`
	Generation   int64      `json:"generation"`
	Run          int64      `json:"run"`
	Epoch        int64      `json:"epoch"`
	Received     int64      `json:"received"`
	Samples      int        `json:"samples"`
	Inferred     int        `json:"inferred"`
	Schema       string     `json:"schema"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// DecodeMetadata reads a json file. Unknown keys are ignored. Files of the older server, which lack the keys from source
// on and have null for an empty list, give zero values for what they lack.
func DecodeMetadata(data []byte) (*Metadata, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("archive: decode metadata: %w", err)
	}
	m := &Metadata{
		Target:     scrape.Target{Account: d.Account, Source: d.Source, Name: d.IID},
		Time:       d.DTS,
		Generation: d.Generation,
		Run:        d.Run,
		Epoch:      d.Epoch,
		Received:   d.Received,
		Samples:    d.Samples,
		Inferred:   d.Inferred,
	}
	for _, kv := range d.KVs {
		m.Common = append(m.Common, scrape.Label{Name: kv.Key, Value: kv.Value})
	}
	m.OptionalLabels = append(m.OptionalLabels, d.OLabels...)
	if d.Schema == "" {
		return m, nil
	}
	if err := decodeHash(&m.Schema, d.Schema); err != nil {
		return nil, fmt.Errorf("archive: decode metadata: %w", err)
	}
	return m, nil
}

func decodeHash(h *scrape.Hash, s string) error {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("schema %q is no hash of %d bytes in hexadecimal", s, len(h))
	}
	copy(h[:], raw)
	return nil
}
