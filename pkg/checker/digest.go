package checker

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// Digest stands for the samples of a scrape: labels, values to the last bit, times, and their order.
type Digest [sha256.Size]byte

// canonicalNaN is the only NaN that the text format has.
var canonicalNaN = math.Float64bits(math.NaN())

// digester collects samples.
type digester struct{ buf []byte }

func (d *digester) add(labels []scrape.Label, value float64, time int64) {
	labels = slices.Clone(labels)
	slices.SortFunc(labels, func(a, b scrape.Label) int { return strings.Compare(a.Name, b.Name) })
	d.buf = binary.AppendUvarint(d.buf, uint64(len(labels)))
	for _, l := range labels {
		for _, s := range [...]string{l.Name, l.Value} {
			d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
			d.buf = append(d.buf, s...)
		}
	}
	bits := math.Float64bits(value)
	if math.IsNaN(value) {
		bits = canonicalNaN
	}
	d.buf = binary.LittleEndian.AppendUint64(d.buf, bits)
	d.buf = binary.LittleEndian.AppendUint64(d.buf, uint64(time))
}

func (d *digester) sum() Digest { return sha256.Sum256(d.buf) }

// DigestOf returns the digest of a scrape as a target gave it. Series without a name are left out, as they are in files.
func DigestOf(schema *scrape.Schema, s *scrape.Scrape) Digest {
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
	return d.sum()
}

// DigestOfSamples returns the digest of samples that were read from text; those without a time of their own have the given
// one, in milliseconds since the Unix epoch.
func DigestOfSamples(samples []expo.Sample, time int64) Digest {
	var d digester
	for _, s := range samples {
		at := time
		if s.HasTime {
			at = s.Time
		}
		d.add(s.Labels, s.Value, at)
	}
	return d.sum()
}
