package expo

import (
	"math"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// The types that the text format 0.0.4 has.
const (
	kindCounter   = "counter"
	kindGauge     = "gauge"
	kindHistogram = "histogram"
	kindSummary   = "summary"
	kindUntyped   = "untyped"
)

// family is what a row's HELP and TYPE lines speak of.
type family struct{ name, kind string }

// part is what a row is within a histogram or summary.
type part byte

const (
	partNone part = iota
	partBucket
	partQuantile
	partSum
	partCount
)

// compound is a histogram or summary that some rows claim to be part of.
type compound struct {
	kind    string
	refused bool
	last    int // the last row that claims it
	has     [partCount + 1]bool
}

// complete reports whether the family has what makes it one. The collector's types stick to later families that declare
// none, so a lone my_count after a summary is no reason to believe in a summary "my".
func (c *compound) complete() bool {
	if c.kind == kindHistogram {
		return c.has[partBucket]
	}
	return c.has[partQuantile] || c.has[partSum] && c.has[partCount]
}

// families returns the family of each row.
//
// A counter or gauge is its own family. A histogram "h" consists of h_bucket with an le label, h_sum and h_count; a
// summary "s" of s with a quantile label, s_sum and s_count. Parsers go by these names alone: once h is declared a
// histogram, expfmt takes every series and every TYPE line that is named h, h_bucket, h_sum or h_count for a part of it. So a
// histogram or summary is declared only if every row with one of its names fits, and no row would be lost or refused in
// it. In every other case, and for types that the format doesn't have, a row is its own family, untyped.
func families(rows []row) []family {
	claims := claimsOf(rows)
	claims.refuseMisfits(rows)
	claims.refuseNested()
	created := createdNames(rows)
	out := make([]family, len(rows))
	for i := range rows {
		r := &rows[i]
		out[i] = family{r.name, kindUntyped}
		if c := claims.compounds[claims.base[i]]; c != nil && !c.refused && c.complete() {
			out[i] = family{claims.base[i], c.kind}
		} else if (r.kind == kindCounter || r.kind == kindGauge) && !created[r.name] {
			out[i].kind = r.kind
		}
	}
	return out
}

// claims says which rows want to be part of which compound.
type claims struct {
	base      []string // for each row the compound's name, or ""
	compounds map[string]*compound
}

func claimsOf(rows []row) *claims {
	c := &claims{base: make([]string, len(rows)), compounds: make(map[string]*compound)}
	seen := make(map[uint64]bool)
	for i := range rows {
		r := &rows[i]
		base, p := claim(r)
		if p == partNone {
			continue
		}
		c.base[i] = base
		f := c.compounds[base]
		if f == nil {
			f = &compound{kind: r.kind, last: i - 1}
			c.compounds[base] = f
		}
		f.has[p] = true
		id := identity(r)
		switch {
		case f.kind != r.kind:
			f.refused = true
		case seen[id]:
			// expfmt would keep one of two equal samples.
			f.refused = true
		case f.last != i-1 && !isPlainMetric(base):
			// expfmt takes the labels of a quoted metric for those of the line before, of whatever family it is.
			f.refused = true
		}
		seen[id] = true
		f.last = i
	}
	return c
}

// claim returns the histogram or summary that a row fits by its type, name and labels.
func claim(r *row) (base string, p part) {
	switch r.kind {
	case kindHistogram:
		le, has := r.label(bucketLabel)
		if !has {
			return claimTotal(r.name)
		}
		if base, ok := cutSuffix(r.name, "_bucket"); ok && isBound(le) {
			return base, partBucket
		}
	case kindSummary:
		quantile, has := r.label(quantileLabel)
		if !has {
			return claimTotal(r.name)
		}
		if isBound(quantile) {
			return r.name, partQuantile
		}
	}
	return "", partNone
}

func claimTotal(name string) (base string, p part) {
	if base, ok := cutSuffix(name, "_sum"); ok {
		return base, partSum
	}
	if base, ok := cutSuffix(name, "_count"); ok {
		return base, partCount
	}
	return "", partNone
}

// cutSuffix returns what name has before the suffix, which must not be empty.
func cutSuffix(name, suffix string) (string, bool) {
	base, ok := strings.CutSuffix(name, suffix)
	return base, ok && base != ""
}

// isBound reports whether expfmt takes s for the value of an le or quantile label.
func isBound(s string) bool {
	if strings.ContainsAny(s, "pP_") {
		return false
	}
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && !math.IsNaN(v)
}

// identity returns a hash of a row's name and labels in any order. It is the same in every process, because the rendered
// bytes depend on it; that two rows share one by chance costs their family its type and nothing else.
func identity(r *row) uint64 {
	h := fnv(scrape.MetricName, r.name)
	for _, l := range r.labels {
		h += fnv(l.Name, l.Value)
	}
	return h
}

// fnv is the mixed 64-bit FNV-1a hash of two strings with a byte between them that occurs in no text.
func fnv(a, b string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := 0; i < len(a); i++ {
		h = (h ^ uint64(a[i])) * prime
	}
	h = (h ^ 0xff) * prime
	for i := 0; i < len(b); i++ {
		h = (h ^ uint64(b[i])) * prime
	}
	return mix(h)
}

// mix spreads a hash over all its bits, so that sums of hashes differ: a last byte that is one more moves FNV's hash by a constant,
// and the sum for two labels would not change if the other's last byte is one less. It is the finaliser of MurmurHash3.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// refuseMisfits refuses compounds that have the name of a row which doesn't claim them.
func (c *claims) refuseMisfits(rows []row) {
	if len(c.compounds) == 0 {
		return
	}
	for i := range rows {
		name := rows[i].name
		if f := c.compounds[name]; f != nil && c.base[i] != name {
			f.refused = true
		}
		if base, f := c.owner(name); f != nil && c.base[i] != base {
			f.refused = true
		}
	}
}

// refuseNested refuses compounds whose own name is that of another one's part.
func (c *claims) refuseNested() {
	for name, f := range c.compounds {
		if _, owner := c.owner(name); owner != nil {
			f.refused = true
		}
	}
}

// owner returns the compound that a parser would count a series or TYPE line with the given name to, by its suffix.
func (c *claims) owner(name string) (string, *compound) {
	if base, p := claimTotal(name); p != partNone {
		return base, c.compounds[base]
	}
	if base, ok := cutSuffix(name, "_bucket"); ok {
		if f := c.compounds[base]; f != nil && f.kind == kindHistogram {
			return base, f
		}
	}
	return "", nil
}

// createdNames returns the names of series that OpenMetrics keeps beside a counter to say since when it counts. They have
// the counter's type and are none.
func createdNames(rows []row) map[string]bool {
	var created map[string]bool
	for i := range rows {
		if base, ok := cutSuffix(rows[i].name, "_created"); ok && rows[i].kind == kindCounter {
			if created == nil {
				created = make(map[string]bool)
			}
			created[base+"_total"] = true
		}
	}
	if created == nil {
		return nil
	}
	confirmed := make(map[string]bool)
	for i := range rows {
		if r := &rows[i]; r.kind == kindCounter && created[r.name] {
			confirmed[strings.TrimSuffix(r.name, "_total")+"_created"] = true
		}
	}
	return confirmed
}
