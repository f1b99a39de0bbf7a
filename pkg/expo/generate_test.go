package expo

import (
	"math"
	"math/rand"
	"slices"
	"strconv"

	"github.com/zstats/zstats/pkg/scrape"
)

// generator makes random schemas and scrapes out of small pools, so that names, families and labels collide.
type generator struct {
	*rand.Rand
	// wild allows what no text can say exactly: invalid UTF-8, NUL, labels without a name or with one name, negative counts.
	wild bool
}

func (g *generator) pick(from ...string) string { return from[g.Intn(len(from))] }

func (g *generator) metricName() string {
	base := g.pick("a", "b", "a_sum", "a_count", "h.x", "h.x", "_", ":r", "9x", "ü", "with \"quotes\" and \\", "line\nbreak", "# HELP a", "{a=\"b\"}", "le", " ", "U__a", "NaN")
	if g.wild {
		base = g.pick(base, base, "", "\x00", "a\x00b", "\xff", "__name__", "\ufffd")
	}
	return base + g.pick("", "", "_sum", "_count", "_bucket", "_bucket", "_bucket", "_total", "_created", "_info", "_gsum")
}

func (g *generator) labelName() string {
	name := g.pick("a", "b", "le", "le", "quantile", "instance", "job", "_x", "A", "my.label", "9", "a:b", "ü", "q\"\\", "l\nb", "=", " ")
	if g.wild {
		name = g.pick(name, name, "", "\x00", "\xfe", "\ufffd", scrape.MetricName, "a\x00")
	}
	return name
}

func (g *generator) labelValue() string {
	v := g.pick("", "1", "1.0", "0.5", "+Inf", "NaN", "1e999", "0x1p-2", "1_0", "x", "ü\u200b", "\t", "tab\there", "q\"uote", "back\\slash", "\\n", "new\nline", "\\", "nul\x00", "\x00", "}", ",", "{\"")
	if g.wild {
		v = g.pick(v, v, "\xff", "a\xc3")
	}
	return v
}

func (g *generator) help() string {
	h := g.pick("", "Help.", "two\nlines", "back\\slash \\n", "\"quoted\"", "ü", "# TYPE a counter", "\r", "trailing ")
	if g.wild {
		h = g.pick(h, " leading", "  ", "\x00", "\xff", "\xc3(")
	}
	return h
}

func (g *generator) series() scrape.Series {
	s := scrape.Series{
		Type: g.pick("counter", "gauge", "histogram", "histogram", "histogram", "summary", "summary", "unknown", "untyped", "info", "stateset", "gaugehistogram", "", "Counter", "x\ny"),
		Help: g.help(),
	}
	if g.Intn(20) > 0 {
		s.Labels = append(s.Labels, scrape.Label{Name: scrape.MetricName, Value: g.metricName()})
	}
	for range g.Intn(4) {
		l := scrape.Label{Name: g.labelName(), Value: g.labelValue()}
		if g.wild || indexLabel(s.Labels, 0, l.Name) < 0 {
			s.Labels = append(s.Labels, l)
		}
	}
	if g.Intn(2) == 0 {
		slices.SortStableFunc(s.Labels, byName)
	}
	return s
}

// compound returns the series of a well-formed histogram or summary, sometimes without one of them.
func (g *generator) compound() []scrape.Series {
	name, help := g.pick(g.metricName(), "a", "a_count"), g.help()
	one := func(kind, suffix string, pairs ...string) scrape.Series {
		return scrape.Series{Type: kind, Help: help, Labels: append(labels(scrape.MetricName, name+suffix), labels(pairs...)...)}
	}
	var out []scrape.Series
	for _, v := range []string{"x", "y"}[:1+g.Intn(2)] {
		if g.Intn(2) == 0 {
			out = append(out, one("summary", "", "v", v, "quantile", "0.5"), one("summary", "_sum", "v", v), one("summary", "_count", "v", v))
			continue
		}
		out = append(out, one("histogram", "_bucket", "v", v, "le", "1"), one("histogram", "_bucket", "v", v, "le", "+Inf"),
			one("histogram", "_sum", "v", v), one("histogram", "_count", "v", v))
	}
	if g.Intn(4) == 0 {
		i := g.Intn(len(out))
		out = slices.Delete(out, i, i+1)
	}
	return out
}

func (g *generator) schema() *scrape.Schema {
	s := new(scrape.Schema)
	for range g.Intn(12) {
		switch {
		case g.Intn(3) == 0:
			s.Series = append(s.Series, g.compound()...)
		case g.Intn(8) == 0 && len(s.Series) > 0:
			s.Series = append(s.Series, s.Series[g.Intn(len(s.Series))])
		default:
			s.Series = append(s.Series, g.series())
		}
	}
	if g.Intn(4) == 0 {
		g.Shuffle(len(s.Series), func(i, j int) { s.Series[i], s.Series[j] = s.Series[j], s.Series[i] })
	}
	if g.Intn(2) == 0 {
		for i := range s.Series {
			s.Series[i].Labels = append(slices.Clone(s.Series[i].Labels), labels("zone", "z\n1", "zz", "")...)
		}
	}
	return s
}

func (g *generator) value() float64 {
	switch g.Intn(8) {
	case 0:
		return []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e-300, 1 << 53}[g.Intn(8)]
	case 1:
		return math.Float64frombits(g.Uint64())
	case 2:
		return float64(g.Intn(1e9)) / 1e3
	default:
		return float64(g.Intn(1e6))
	}
}

func (g *generator) scrape(schema *scrape.Schema) *scrape.Scrape {
	s := &scrape.Scrape{Time: 1_795_333_095_004}
	for i := range schema.Series {
		s.Values = append(s.Values, g.value())
		if name := schema.Series[i].Name(); !g.wild && !isFloatSafe(name) {
			// expfmt keeps counts as integers, and refuses negative ones.
			s.Values[i] = float64(g.Intn(1e6))
		}
		if g.Intn(6) == 0 {
			s.Stamps = append(s.Stamps, scrape.Stamp{Index: int32(i), Time: s.Time + int64(g.Intn(3)) - 1})
		}
	}
	if g.wild && len(s.Stamps) > 0 {
		s.Stamps[0].Time = -5
	}
	return s
}

// isFloatSafe reports whether a series of that name never is a count for expfmt.
func isFloatSafe(name string) bool {
	_, count := cutSuffix(name, "_count")
	_, bucket := cutSuffix(name, "_bucket")
	return !count && !bucket
}

// canonicalBound gives all spellings of an le or quantile value that a parser reads as one number the same form.
func canonicalBound(l scrape.Label) scrape.Label {
	if l.Name == bucketLabel || l.Name == quantileLabel {
		if v, err := strconv.ParseFloat(l.Value, 64); err == nil {
			l.Value = strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return l
}
