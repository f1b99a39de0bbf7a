package zstatsv1_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/zstats/zstats/pkg/zstatsv1"
)

// A server's way from the bytes of a request to those of the reply.
func Example() {
	var compressor zstatsv1.Compressor
	body := compressor.Append(nil, zstatsv1.AppendRequest(nil, zstatsv1.NewRequest("token", []zstatsv1.Instance{
		{Instance: "host:9100.node", NSamples: 3, IsIncr: true, Gen: 8, GTs: 2000, Samples: []zstatsv1.Sample{{Idx: 2, Ts: 1000, Val: 0.5}}},
		{Instance: "host:9100.node", NSamples: 3, IsIncr: true, Gen: 9, GTs: 3000, Samples: []zstatsv1.Sample{{Idx: 3}}},
	})))

	limits := zstatsv1.DefaultLimits()
	var decompressor zstatsv1.Decompressor
	data, err := decompressor.Append(nil, bytes.NewReader(body), 64<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	decoder, err := zstatsv1.NewDecoder(limits)
	if err != nil {
		fmt.Println(err)
		return
	}
	request, err := decoder.Decode(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	codes := make([]int8, len(request.IData))
	for i := range request.IData {
		blob, err := request.IData[i].Blob(limits)
		switch {
		case err == nil:
			fmt.Printf("generation %d changes %d of %d samples\n", blob.Generation, len(blob.Values), blob.Samples)
		case errors.Is(err, zstatsv1.ErrResend):
			fmt.Println(err)
			codes[i] = zstatsv1.CodeSendFull
		default:
			codes[i] = zstatsv1.CodeFailed
		}
	}
	reply, err := zstatsv1.DecodeResponse(zstatsv1.AppendResponse(nil, zstatsv1.NewResponse(0, codes)))
	fmt.Println(reply.IErrCodes, err)
	// Output:
	// generation 8 changes 1 of 3 samples
	// incremental blob refused: sample 0 has Idx 3 after -1 in a scrape of 3
	// [0 1] <nil>
}
