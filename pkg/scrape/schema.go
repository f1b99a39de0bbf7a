package scrape

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// MetricName is the label that holds a series' metric name.
const MetricName = "__name__"

// Label is one name and value of a series.
type Label struct{ Name, Value string }

// Series is one position of a scrape without its value.
type Series struct {
	// Labels as the collector sent them, MetricName among them. A series without a MetricName holds its position in the
	// scrape but is never written.
	Labels []Label
	// Help is the unescaped help text; Type the metric type as the collector names it ("counter", "unknown", …).
	Help string
	Type string
}

// Name returns the series' metric name, or "" if it has none.
func (s *Series) Name() string {
	for i := range s.Labels {
		if s.Labels[i].Name == MetricName {
			return s.Labels[i].Value
		}
	}
	return ""
}

// Schema is the ordered series of a scrape. It changes rarely and is addressed by its Hash.
type Schema struct {
	Series []Series
	// OptionalLabels are names of labels that a learning consumer may ignore.
	OptionalLabels []string
}

// Hash addresses a schema: two schemas with the same hash are equal.
type Hash [32]byte

// String returns the hash in hexadecimal, 64 characters.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is no schema's hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// hashVersion is the first byte of what is hashed. The form below is part of the log's format.
const hashVersion = 1

// Hash computes the SHA-256 of the schema's canonical form: the version, the number of series, for each its help, type
// and labels, then the optional labels; every list and string is preceded by its length as a uvarint.
func (s *Schema) Hash() Hash {
	h := canonicalHash{buf: make([]byte, 0, 4096), sum: sha256.New()}
	h.buf = append(h.buf, hashVersion)
	h.uint(len(s.Series))
	for i := range s.Series {
		series := &s.Series[i]
		h.string(series.Help)
		h.string(series.Type)
		h.uint(len(series.Labels))
		for _, l := range series.Labels {
			h.string(l.Name)
			h.string(l.Value)
		}
	}
	h.uint(len(s.OptionalLabels))
	for _, name := range s.OptionalLabels {
		h.string(name)
	}
	return h.finish()
}

// canonicalHash buffers small writes in front of a hash function.
type canonicalHash struct {
	buf []byte
	sum interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
}

func (h *canonicalHash) uint(n int) {
	h.buf = binary.AppendUvarint(h.buf, uint64(n))
	h.flushAt(3 << 10)
}

func (h *canonicalHash) string(s string) {
	h.uint(len(s))
	h.buf = append(h.buf, s...)
	h.flushAt(3 << 10)
}

func (h *canonicalHash) flushAt(size int) {
	if len(h.buf) >= size {
		_, _ = h.sum.Write(h.buf) // a hash never fails
		h.buf = h.buf[:0]
	}
}

func (h *canonicalHash) finish() (out Hash) {
	h.flushAt(1)
	copy(out[:], h.sum.Sum(nil))
	return out
}
