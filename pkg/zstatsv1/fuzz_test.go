package zstatsv1

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode holds the decoder against encoding/gob, and what comes out of a blob against what went in.
func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, requestTypesHex, healthHex))
	f.Add(unhex(f, requestTypesHex, twoHex))
	f.Add(AppendRequest(nil, NewRequest("t", []Instance{*incrementalInstance(), *fullInstance()})))
	f.Add(join(wireTypes(), message(65, []byte{1, 1, 1, 2, 1, 1, 1, 1, 'a', 0, 0, 0, 1, 1, 2, 'b', 'c', 0, 1, 2, 0, 1, 0, 0})))
	f.Add(join(
		structType(70, member{"X", 71}, member{"Version", 2}, member{"Y", 72}, member{"Z", 74}, member{"C", 7}),
		otherType(71, kindMap, 6, 3), otherType(72, kindArray, 73, 2), structType(73, member{"F", 4}),
		description(74, kindGobEncoder, []byte{0}),
		message(70, []byte{1, 1, 3, 1, 'k', 1, 2, 1, 2, 1, 5, 0, 0, 1, 2, 9, 9, 1, 3, 4, 0})))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDecoder(t)
		got, err := d.Decode(data)
		if err != nil && strings.Contains(err.Error(), reasonCount) {
			return // encoding/gob may go through 2^62 elements of no bytes before it disagrees
		}
		compareWithGob(t, data, got, err)
		if err != nil {
			return
		}
		for i := range got.IData {
			roundTrip(t, &got.IData[i])
		}
		again, err := newDecoder(t).Decode(AppendRequest(nil, got))
		if err != nil {
			t.Fatal(err)
		}
		got.NInsts = int32(len(got.IData)) // as AppendRequest writes it
		if diff := cmp.Diff(got, again, equalRequests); diff != "" {
			t.Errorf("encoded and decoded (-before +after):\n%s", diff)
		}
	})
}

// roundTrip turns an instance into a blob and back. An incremental one loses the descriptions that it should not have.
func roundTrip(t *testing.T, want *Instance) {
	b, err := want.Blob(DefaultLimits())
	if err != nil {
		return
	}
	got := InstanceOf(want.Instance, b)
	if again, err := got.Blob(DefaultLimits()); err != nil {
		t.Errorf("accepted once, then: %v", err)
	} else if diff := cmp.Diff(b, again, equalRequests); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if b.Full() {
		if diff := cmp.Diff(want, &got, equalRequests); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	}
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add(unhex(f, responseTypesHex, emptyReplyHex))
	f.Add(unhex(f, responseTypesHex, codesReplyHex))
	f.Add(AppendResponse(nil, ErrorResponse("no")))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeResponse(data)
		compareWithGob(t, data, got, err)
	})
}

func FuzzDecompress(f *testing.F) {
	var c Compressor
	f.Add(c.Append(nil, unhex(f, requestTypesHex, twoHex)))
	f.Add(bytes.Repeat(c.Append(nil, make([]byte, 1000)), 3))
	f.Add([]byte("\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\x00\x02\x00xxname\x00comment\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		got, err := new(Decompressor).Append([]byte("ab"), bytes.NewReader(data), limit)
		if len(got) > limit+2 || string(got[:2]) != "ab" {
			t.Errorf("%d bytes beginning with %q, %v", len(got), got[:2], err)
		}
	})
}
