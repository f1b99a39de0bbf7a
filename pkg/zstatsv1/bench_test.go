package zstatsv1

import (
	"bytes"
	"encoding/gob"
	"testing"
)

// benchmarkBodies are requests as they arrive.
func benchmarkBodies(b *testing.B) map[string][]Instance {
	full, incremental := nodeScrapes(b)
	return map[string][]Instance{
		"incremental-50x300of532": repeat(busier(incremental, 300), 50),
		"full-1x532":              {*full},
		"full-1x21000":            {*wideScrape(21_000)},
	}
}

// busier returns an incremental blob of n samples, with the differences of in again and again.
func busier(in *Instance, n int) *Instance {
	busy := *in
	busy.Samples = make([]Sample, n)
	for i := range busy.Samples {
		busy.Samples[i] = in.Samples[i%len(in.Samples)]
		busy.Samples[i].Idx = int32(i * in.NSamples / n)
	}
	return &busy
}

func eachBody(b *testing.B, run func(b *testing.B, r *Request, data []byte)) {
	for name, instances := range benchmarkBodies(b) {
		b.Run(name, func(b *testing.B) {
			r := NewRequest("token", instances)
			data := AppendRequest(nil, r)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			run(b, r, data)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(instances)), "µs/blob")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	eachBody(b, func(b *testing.B, _ *Request, data []byte) {
		d := newDecoder(b)
		for b.Loop() {
			if _, err := d.Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeToBlobs(b *testing.B) {
	eachBody(b, func(b *testing.B, _ *Request, data []byte) {
		d, limits := newDecoder(b), DefaultLimits()
		for b.Loop() {
			r, err := d.Decode(data)
			if err != nil {
				b.Fatal(err)
			}
			for i := range r.IData {
				if _, err := r.IData[i].Blob(limits); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkDecodeByEncodingGob(b *testing.B) {
	eachBody(b, func(b *testing.B, _ *Request, data []byte) {
		for b.Loop() {
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(new(Request)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	eachBody(b, func(b *testing.B, r *Request, data []byte) {
		buf := data
		for b.Loop() {
			buf = AppendRequest(buf[:0], r)
		}
	})
}

func BenchmarkEncodeByEncodingGob(b *testing.B) {
	eachBody(b, func(b *testing.B, r *Request, data []byte) {
		var buf bytes.Buffer
		for b.Loop() {
			buf.Reset()
			if err := gob.NewEncoder(&buf).Encode(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecompress(b *testing.B) {
	eachBody(b, func(b *testing.B, _ *Request, data []byte) {
		var z Decompressor
		packed := new(Compressor).Append(nil, data)
		buf := data[:0]
		for b.Loop() {
			var err error
			if buf, err = z.Append(buf[:0], bytes.NewReader(packed), 1<<30); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	eachBody(b, func(b *testing.B, _ *Request, data []byte) {
		var z Compressor
		var buf []byte
		for b.Loop() {
			buf = z.Append(buf[:0], data)
		}
	})
}

func BenchmarkAppendResponse(b *testing.B) {
	b.ReportAllocs()
	r := NewResponse(0, make([]int8, 50))
	var buf []byte
	for b.Loop() {
		buf = AppendResponse(buf[:0], r)
	}
}

func BenchmarkAppendResponseByEncodingGob(b *testing.B) {
	b.ReportAllocs()
	r := NewResponse(0, make([]int8, 50))
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		if err := gob.NewEncoder(&buf).Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}
