package glob

import "testing"

func BenchmarkGlob(b *testing.B) {
	g, err := Parse("192.168.*:9100.no?e")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !g.Match("192.168.120.51:9100.node") {
			b.Fatal("no match")
		}
	}
}
