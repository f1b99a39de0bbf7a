package zstatsv1

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The byte vectors of the wire's contract: what the first collectors and servers send.
const (
	requestTypesHex = `407f030101075374576252657101ff80000104010756657273696f6e0104000105546f6b656e010c0001064e496e73747301040001
05494461746101ff8e00000021ff8d020101125b5d2a7a74797065732e537457624952657101ff8e0001ff8200005bff81030102ff
820001070108496e7374616e6365010c0001084e53616d706c657301040001064973496e6372010200010347656e01040001034754
73010400010753616d706c657301ff8a0001074f4c6162656c7301ff8c00000022ff89020101135b5d7a74797065732e5374576253
616d706c6501ff8a0001ff84000049ff830301010a5374576253616d706c6501ff84000106010349647801040001024c7301ff8800
010448656c70010c00010454797065010c0001025473010400010356616c010800000015ff87020101064c6162656c7301ff880001
ff86000026ff85030101054c6162656c01ff8600010201044e616d65010c00010556616c7565010c00000016ff8b020101085b5d73
7472696e6701ff8c00010c0000`
	healthHex = `0cff8001020105313233343500`
	twoHex    = `ffd8ff800102010174010401020105683a312e6a010402ffc801fe07d00102020301085f5f6e616d65
5f5f010161000108696e7374616e63650103683a310001036a6f6201016a000102412e0107636f756e74657201fe07d001fef83f00
0102010301085f5f6e616d655f5f010162000108696e7374616e63650103683a310001036a6f6201016a000102422e010567617567
6501fe07bc01f8010000000000f87f00010208696e7374616e6365036a6f62000105683a312e6a0104010101ffca01fe0fa0010101
0204fe07d001f8010000000000f87f000000`
	responseTypesHex = `54ff8f03010108537457625265737001ff90000105010756657273696f6e010400010b4d696e506f6c6c536563730104000103457272
010c0001064e496e737473010400010949457272436f64657301ff9200000014ff91020101065b5d696e743801ff92000104
0000`
	emptyReplyHex = `05ff90010200`
	codesReplyHex = `0eff900102010a0206010300020400`
)

func unhex(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// twoBlobs is the request that twoHex encodes. Its NaN is the one that parsers of the text format return.
func twoBlobs() *Request {
	nan := math.Float64frombits(0x7ff8000000000001)
	labels := func(name string) []Label {
		return []Label{{Name: "__name__", Value: name}, {Name: "instance", Value: "h:1"}, {Name: "job", Value: "j"}}
	}
	return NewRequest("t", []Instance{
		{
			Instance: "h:1.j", NSamples: 2, Gen: 100, GTs: 1000,
			Samples: []Sample{
				{Idx: 0, Ls: labels("a"), Help: "A.", Type: "counter", Ts: 1000, Val: 1.5},
				{Idx: 1, Ls: labels("b"), Help: "B.", Type: "gauge", Ts: 990, Val: nan},
			},
			OLabels: []string{"instance", "job"},
		},
		{
			Instance: "h:1.j", NSamples: 2, IsIncr: true, Gen: 101, GTs: 2000,
			Samples: []Sample{{Idx: 1, Ts: 1000, Val: nan}},
		},
	})
}

func TestRequestVectors(t *testing.T) {
	for name, test := range map[string]struct {
		value   string
		request *Request
	}{
		"health check": {healthHex, NewRequest("12345", nil)},
		"two blobs":    {twoHex, twoBlobs()},
	} {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, requestTypesHex, test.value)
			got, err := newDecoder(t).Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.request, got, equalRequests); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(data, AppendRequest(nil, test.request)); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResponseVectors(t *testing.T) {
	for name, test := range map[string]struct {
		value    string
		response *Response
	}{
		"no blobs":    {emptyReplyHex, NewResponse(0, nil)},
		"three codes": {codesReplyHex, NewResponse(5*time.Second, []int8{CodeStored, CodeSendFull, CodeFailed})},
	} {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, responseTypesHex, test.value)
			got, err := DecodeResponse(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.response, got); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			if err := got.Check(len(test.response.IErrCodes)); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(data, AppendResponse(nil, test.response)); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
		})
	}
}
