package zstatsv1

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestCompression(t *testing.T) {
	var c Compressor
	var z Decompressor
	for _, body := range [][]byte{{}, []byte("a"), AppendRequest(nil, twoBlobs()), bytes.Repeat([]byte("0123456789"), 100_000)} {
		packed := c.Append([]byte("before"), body)
		if !bytes.HasPrefix(packed, []byte("before")) {
			t.Fatalf("begins with %q", packed[:6])
		}
		packed = packed[6:]
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("compress/gzip reads %d bytes of %d, %v", len(got), len(body), err)
		}
		for name, r := range map[string]io.Reader{
			"whole":       bytes.NewReader(packed),
			"in bytes":    iotest.OneByteReader(bytes.NewReader(packed)),
			"EOF at once": iotest.DataErrReader(bytes.NewReader(packed)),
		} {
			got, err := z.Append([]byte("before"), r, int64(len(body)))
			if err != nil || string(got) != "before"+string(body) {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(body), err)
			}
		}
	}
}

func TestDecompressionErrors(t *testing.T) {
	var z Decompressor
	body := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	packed := new(Compressor).Append(nil, body)
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		r    io.Reader
		want error
	}{
		"empty":              {strings.NewReader(""), ErrNotGzip},
		"short text":         {strings.NewReader("no"), ErrNotGzip},
		"text":               {strings.NewReader("this is no gzip at all"), ErrNotGzip},
		"another method":     {strings.NewReader("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00"), ErrNotGzip},
		"half the magic":     {bytes.NewReader(packed[:1]), ErrTruncated},
		"half the header":    {bytes.NewReader(packed[:5]), ErrTruncated},
		"header only":        {bytes.NewReader(packed[:10]), ErrTruncated},
		"half":               {bytes.NewReader(packed[:len(packed)/2]), ErrTruncated},
		"without trailer":    {bytes.NewReader(packed[:len(packed)-8]), ErrTruncated},
		"half the trailer":   {bytes.NewReader(packed[:len(packed)-1]), ErrTruncated},
		"wrong checksum":     {bytes.NewReader(flip(packed, len(packed)-8)), ErrCorrupt},
		"wrong length":       {bytes.NewReader(flip(packed, len(packed)-1)), ErrCorrupt},
		"wrong block":        {bytes.NewReader(append(append([]byte(nil), packed[:10]...), bytes.Repeat([]byte{0xff}, 50)...)), ErrCorrupt},
		"connection lost":    {io.MultiReader(bytes.NewReader(packed[:20]), iotest.ErrReader(broken)), broken},
		"connection cut":     {io.MultiReader(bytes.NewReader(packed[:20]), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		"lost at the start":  {iotest.ErrReader(broken), broken},
		"lost in the header": {io.MultiReader(bytes.NewReader(packed[:5]), iotest.ErrReader(broken)), broken},
		"one byte too many":  {bytes.NewReader(new(Compressor).Append(nil, append(body, 'x'))), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := z.Append(nil, test.r, int64(len(body)))
			for _, kind := range []error{ErrNotGzip, ErrTruncated, ErrCorrupt, ErrTooLarge, broken, io.ErrUnexpectedEOF} {
				if errors.Is(err, kind) != (kind == test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			}
			if got, err := z.Append(nil, bytes.NewReader(packed), int64(len(body))); err != nil || !bytes.Equal(got, body) {
				t.Errorf("afterwards: %d bytes, %v", len(got), err)
			}
		})
	}
}

func flip(data []byte, at int) []byte {
	data = append([]byte(nil), data...)
	data[at] ^= 0x55
	return data
}

// TestMembers: several gzip members are one stream; what follows and is no gzip is ignored.
func TestMembers(t *testing.T) {
	var c Compressor
	packed := c.Append(c.Append(nil, []byte("one, ")), []byte("two"))
	for _, tail := range []string{"", "x", "something that is no gzip header"} {
		got, err := new(Decompressor).Append(nil, strings.NewReader(string(packed)+tail), 8)
		if err != nil || string(got) != "one, two" {
			t.Errorf("behind it %q: got %q, %v", tail, got, err)
		}
	}
	if got, err := new(Decompressor).Append(nil, bytes.NewReader(packed), 7); !errors.Is(err, ErrTooLarge) || string(got) != "one, tw" {
		t.Errorf("limit 7: got %q, %v", got, err)
	}
}

// TestBomb unpacks a gigabyte of zeros, which takes a megabyte packed, no further than to the limit.
func TestBomb(t *testing.T) {
	var c Compressor
	bomb := bytes.Repeat(c.Append(nil, make([]byte, 1<<24)), 64)
	before := allocated()
	got, err := new(Decompressor).Append(nil, bytes.NewReader(bomb), 1<<20)
	if !errors.Is(err, ErrTooLarge) || len(got) != 1<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if took := allocated() - before; took > 16<<20 {
		t.Errorf("took %d bytes", took)
	}
}

func TestConcurrentCompression(t *testing.T) {
	var c Compressor
	var z Decompressor
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			body := bytes.Repeat([]byte{byte('a' + i)}, 10_000+i)
			for range 20 {
				got, err := z.Append(nil, bytes.NewReader(c.Append(nil, body)), 1<<20)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
}
