package zstatsv1

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRequestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		request Request
		want    error
	}{
		"health check":   {Request{Version: 1}, nil},
		"one instance":   {Request{Version: 1, NInsts: 1, IData: make([]Instance, 1)}, nil},
		"no version":     {Request{}, ErrVersion},
		"version 2":      {Request{Version: 2}, ErrVersion},
		"too few":        {Request{Version: 1, NInsts: 2, IData: make([]Instance, 1)}, ErrMalformed},
		"too many":       {Request{Version: 1, IData: make([]Instance, 1)}, ErrMalformed},
		"negative count": {Request{Version: 1, NInsts: -1}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.request.Check(); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestResponseCheck(t *testing.T) {
	for name, test := range map[string]struct {
		response Response
		want     error
	}{
		"fits":            {Response{Version: 1, NInsts: 2, IErrCodes: make([]int8, 2)}, nil},
		"other version":   {Response{Version: 0, NInsts: 2, IErrCodes: make([]int8, 2)}, ErrVersion},
		"other count":     {Response{Version: 1, NInsts: 3, IErrCodes: make([]int8, 3)}, ErrMalformed},
		"codes missing":   {Response{Version: 1, NInsts: 2, IErrCodes: make([]int8, 1)}, ErrMalformed},
		"too many codes":  {Response{Version: 1, NInsts: 2, IErrCodes: make([]int8, 3)}, ErrMalformed},
		"announced wrong": {Response{Version: 1, NInsts: 1, IErrCodes: make([]int8, 2)}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.response.Check(2); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestResponseCountsItsCodes: the old collector ends when a reply has fewer codes than it announces.
func TestResponseCountsItsCodes(t *testing.T) {
	got, err := gobDecode[Response](AppendResponse(nil, &Response{Version: 1, NInsts: 7, IErrCodes: []int8{0, 0, -1}}))
	if err != nil {
		t.Fatal(err)
	}
	want := &Response{Version: 1, NInsts: 3, IErrCodes: []int8{0, 0, -1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestErrorResponse(t *testing.T) {
	want := ErrorResponse("version 2, only 1 is understood")
	data := AppendResponse(nil, want)
	got, err := DecodeResponse(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Version != Version || got.Err == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	compareWithGob(t, data, got, err)
}

func TestResponseDamage(t *testing.T) {
	data := AppendResponse(nil, NewResponse(5*time.Second, []int8{0, 1, 2, -128, 127}))
	if _, err := DecodeResponse(join(structType(65, member{"X", 2}), message(65, []byte{0}))); !errors.Is(err, ErrMalformed) {
		t.Errorf("nothing known in it: %v", err)
	}
	for n := range data {
		if _, err := DecodeResponse(data[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("first %d bytes of %d: %v", n, len(data), err)
		}
	}
	for i := range data {
		for _, change := range []byte{1, 2, 0x7f, 0x80, 0xff} {
			damaged := append([]byte(nil), data...)
			damaged[i] ^= change
			got, err := DecodeResponse(damaged)
			compareWithGob(t, damaged, got, err)
		}
	}
}

func TestPollSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int8{
		-time.Hour:          0,
		0:                   0,
		1:                   1,
		time.Second:         1,
		time.Second + 1:     2,
		127 * time.Second:   127,
		127*time.Second + 1: 127,
		128 * time.Second:   127,
		300 * time.Hour:     127,
	} {
		if got := PollSeconds(d); got != want {
			t.Errorf("%v: got %d, want %d", d, got, want)
		}
	}
}
