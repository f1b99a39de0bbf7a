package render

import "testing"

// BenchmarkRender renders and compresses the scrape of a node exporter.
func BenchmarkRender(b *testing.B) {
	in := node(b, 8)
	r := newRenderer(b, in[0])
	b.ReportAllocs()
	bytes, n := 0, 0
	for b.Loop() {
		f, err := r.Gzip(b.Context(), in[0].target, &in[n%len(in)].state)
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(f.Data)
		n++
		b.SetBytes(int64(f.Text))
	}
	b.ReportMetric(float64(bytes)/float64(n), "gz-B/scrape")
}

// BenchmarkSchema prepares the schema of a node exporter that the cache lacks.
func BenchmarkSchema(b *testing.B) {
	in := node(b, 1)[0]
	s, err := NewSchemas(Options{Log: logOf(b, in), CacheBytes: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.template(b.Context(), in.target.Account, &in.state); err != nil {
			b.Fatal(err)
		}
	}
}
