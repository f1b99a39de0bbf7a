package checker

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// Digest stands for the samples of a scrape: labels, values to the last bit, times, and their order; or for all of that but the
// values.
type Digest [sha256.Size]byte

// MarshalText returns the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads a digest in hexadecimal.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a digest has %d bytes, not %d", len(d), hex.DecodedLen(len(text)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// IsZero reports whether d is no scrape's digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// content is what a scrape says.
type content struct {
	digest, shape Digest
	values        []float64
}

// digester collects samples.
type digester struct {
	shape  []byte
	values []float64
}

func (d *digester) add(labels []scrape.Label, value float64, time int64) {
	labels = slices.Clone(labels)
	slices.SortFunc(labels, func(a, b scrape.Label) int { return strings.Compare(a.Name, b.Name) })
	d.shape = binary.AppendUvarint(d.shape, uint64(len(labels)))
	for _, l := range labels {
		for _, s := range [...]string{l.Name, l.Value} {
			d.shape = binary.AppendUvarint(d.shape, uint64(len(s)))
			d.shape = append(d.shape, s...)
		}
	}
	d.shape = binary.LittleEndian.AppendUint64(d.shape, uint64(time))
	d.values = append(d.values, value)
}

func (d *digester) content() content {
	c := content{shape: sha256.Sum256(d.shape), values: d.values}
	all := slices.Clone(c.shape[:])
	for _, v := range d.values {
		all = binary.LittleEndian.AppendUint64(all, canonicalBits(v))
	}
	c.digest = sha256.Sum256(all)
	return c
}

// canonicalBits returns the bits of a value. The text format has one NaN only.
func canonicalBits(v float64) uint64 {
	if math.IsNaN(v) {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v)
}

// contentOf returns what a scrape says as a target gave it. Series without a name are left out, as they are in files.
func contentOf(schema *scrape.Schema, s *scrape.Scrape) content {
	var d digester
	stamps := s.Stamps
	for i := range schema.Series {
		time := s.Time
		if len(stamps) > 0 && int(stamps[0].Index) == i {
			time, stamps = stamps[0].Time, stamps[1:]
		}
		if schema.Series[i].Name() != "" {
			d.add(schema.Series[i].Labels, s.Values[i], time)
		}
	}
	return d.content()
}

// contentOfSamples returns what samples say that were read from text; those without a time of their own have the given one, in
// milliseconds since the Unix epoch.
func contentOfSamples(samples []expo.Sample, time int64) content {
	var d digester
	for _, s := range samples {
		at := time
		if s.HasTime {
			at = s.Time
		}
		d.add(s.Labels, s.Value, at)
	}
	return d.content()
}

// differing counts the positions at which two lists of one length differ.
func differing(a, b []float64) int {
	n := 0
	for i := range a {
		if canonicalBits(a[i]) != canonicalBits(b[i]) {
			n++
		}
	}
	return n
}
