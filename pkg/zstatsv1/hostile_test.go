package zstatsv1

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// The functions below write streams that no encoder would.

// message frames bytes as a message of the type.
func message(id int64, body []byte) []byte {
	body = append(appendInt(nil, id), body...)
	return append(appendUint(nil, uint64(len(body))), body...)
}

type member struct {
	name string
	typ  int64
}

// structType defines type id as a struct.
func structType(id int64, members ...member) []byte {
	e := encoder{at: -1}
	e.field(0) // CommonType, empty
	e.buf = append(e.buf, 0)
	if e.slice(1, len(members)) {
		for _, m := range members {
			f := encoder{buf: e.buf, at: -1}
			f.string(0, m.name)
			f.int(1, m.typ)
			e.buf = f.end()
		}
	}
	return description(id, kindStruct, e.end())
}

// otherType defines type id with a description of two numbers: of the elements, and of the keys or the length.
func otherType(id int64, kind typeKind, first, second int64) []byte {
	e := encoder{at: -1}
	e.int(1, first)
	e.int(2, second)
	return description(id, kind, e.end())
}

func description(id int64, kind typeKind, body []byte) []byte {
	e := encoder{at: -1}
	e.field(int(kind))
	e.buf = append(e.buf, body...)
	return message(-id, e.end())
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// wireTypes defines the wire's types as any sender may: 65 request, 66 instances, 67 instance, 68 samples, 69 sample,
// 70 labels, 71 label, 72 names.
func wireTypes() []byte {
	return join(
		structType(65, member{"IData", 66}, member{"X", 75}),
		otherType(66, kindSlice, 67, 0),
		structType(67, member{"Samples", 68}, member{"OLabels", 72}),
		otherType(68, kindSlice, 69, 0),
		structType(69, member{"Ls", 70}),
		otherType(70, kindSlice, 71, 0),
		structType(71, member{"Name", 6}),
		otherType(72, kindSlice, 6, 0),
		otherType(75, kindSlice, 75, 0), // a slice of slices of slices …
	)
}

func TestHostileStreams(t *testing.T) {
	types := wireTypes()
	deep := func(n int) []byte {
		return append(append([]byte{2}, bytes.Repeat([]byte{1}, n)...), 0, 0)
	}
	manyFields := make([]member, maxFields+1)
	for i := range manyFields {
		manyFields[i] = member{"f", 2}
	}
	var manyTypes []byte
	for i := range int64(maxTypes + 1) {
		manyTypes = append(manyTypes, otherType(100+i, kindSlice, 2, 0)...)
	}
	huge := []byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, test := range map[string]struct {
		data []byte
		kind error
		say  string
	}{
		"nothing":                  {nil, ErrMalformed, "before a value"},
		"definitions only":         {types, ErrMalformed, "before a value"},
		"empty message":            {[]byte{0}, ErrMalformed, reasonEnd},
		"text":                     {[]byte("GET / HTTP/1.1\r\n\r\n"), ErrMalformed, ""},
		"message of 2^64 bytes":    {huge, ErrMalformed, reasonHuge},
		"number of 9 bytes":        {[]byte{0xf7, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ErrMalformed, "9 bytes"},
		"value of no type":         {message(65, []byte{0}), ErrMalformed, reasonUndefined},
		"value of a builtin type":  {message(20, []byte{0}), ErrMalformed, reasonUndefined},
		"value of a slice":         {join(types, message(66, []byte{0, 0})), ErrMalformed, "no struct"},
		"builtin redefined":        {structType(20), ErrMalformed, "builtin"},
		"type 0 defined":           {message(-0, []byte{0}), ErrMalformed, reasonUndefined},
		"defined twice":            {join(types, structType(65)), ErrMalformed, "twice"},
		"number beyond 2^31":       {structType(1 << 31), ErrMalformed, reasonNumber},
		"value beyond 2^31":        {join(types, message(1<<32+65, []byte{0})), ErrMalformed, reasonNumber},
		"no description":           {message(-65, []byte{0}), ErrMalformed, reasonUndescribed},
		"two descriptions":         {message(-65, []byte{2, 0, 1, 0, 0}), ErrMalformed, reasonTwoKinds},
		"unknown kind of type":     {description(65, kindsOfWireTypes, []byte{0}), ErrMalformed, "struct of 7 fields"},
		"bytes behind definition":  {message(-65, []byte{3, 0, 0, 0}), ErrMalformed, "behind the definition"},
		"undefined element":        {join(otherType(66, kindSlice, 99, 0), structType(65), message(65, []byte{0})), ErrMalformed, reasonUndefined},
		"description of types":     {join(structType(65, member{"IData", 22}), message(65, []byte{0})), ErrMalformed, reasonUndefined},
		"field without a name":     {structType(65, member{"", 2}), ErrMalformed, reasonNoName},
		"field twice":              {join(structType(65, member{"Token", 6}, member{"Token", 6}), message(65, []byte{0})), ErrMalformed, reasonTwice},
		"too many types":           {manyTypes, ErrTooLarge, "128 types"},
		"too many fields":          {structType(65, manyFields...), ErrTooLarge, "1024 fields"},
		"field out of range":       {join(types, message(65, []byte{3})), ErrMalformed, "struct of 2 fields"},
		"step of 2^64-1":           {join(types, message(65, huge)), ErrMalformed, "struct of 2 fields"},
		"open struct":              {join(types, message(65, nil)), ErrMalformed, reasonOpen},
		"open instance":            {join(types, message(65, []byte{1, 1, 2, 0})), ErrMalformed, reasonOpen},
		"more instances than data": {join(types, message(65, []byte{1, 5, 0, 0, 0})), ErrMalformed, "announced"},
		"2^64-1 instances":         {join(types, message(65, append([]byte{1}, huge...))), ErrMalformed, reasonHuge},
		"more samples than data":   {join(types, message(65, []byte{1, 1, 1, 100, 0, 0, 0})), ErrMalformed, "IData[0].Samples"},
		"more labels than data":    {join(types, message(65, []byte{1, 1, 1, 1, 1, 100, 0, 0, 0})), ErrMalformed, "IData[0].Samples[0].Ls"},
		"longer name than data":    {join(types, message(65, []byte{1, 1, 1, 1, 1, 1, 1, 100, 0, 0, 0, 0, 0, 0})), ErrMalformed, "IData[0].Samples[0].Ls[0].Name"},
		"nested too deep":          {join(types, message(65, deep(maxDepth))), ErrTooLarge, "deeper than 64"},
		"nested for ever":          {join(types, message(65, deep(1<<20))), ErrTooLarge, "deeper than 64"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newDecoder(t).Decode(test.data)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.say) {
				t.Fatalf("got %+v, %v\nwant %v … %s", got, err, test.kind, test.say)
			}
		})
	}
	if _, err := newDecoder(t).Decode(join(types, message(65, deep(maxDepth-1)))); err != nil {
		t.Errorf("the deepest allowed value: %v", err)
	}
}

// TestWrongArray: an array of an unknown field that is not as long as its type.
func TestWrongArray(t *testing.T) {
	types := join(structType(65, member{"Version", 2}, member{"X", 66}), otherType(66, kindArray, 2, 3))
	for n, want := range map[byte]bool{2: false, 3: true, 4: false} {
		data := join(types, message(65, append(append([]byte{2, n}, make([]byte, n)...), 0)))
		got, err := newDecoder(t).Decode(data)
		if (err == nil) != want {
			t.Errorf("%d elements of 3: %v", n, err)
		}
		compareWithGob(t, data, got, err)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{Blobs: 2, TotalSamples: 5, TotalLabels: 7, Samples: 100, Labels: 100, OptionalLabels: 100, StringBytes: 100}
	samples := func(n, labels int) Instance {
		in := Instance{Samples: make([]Sample, n)}
		for i := range in.Samples {
			in.Samples[i].Ls = make([]Label, labels)
		}
		return in
	}
	names := Instance{OLabels: make([]string, 4)}
	for name, test := range map[string]struct {
		instances []Instance
		exceeded  string
	}{
		"blobs":                 {make([]Instance, 2), ""},
		"too many blobs":        {make([]Instance, 3), "limit Blobs"},
		"samples":               {[]Instance{samples(2, 0), samples(3, 0)}, ""},
		"too many samples":      {[]Instance{samples(3, 0), samples(3, 0)}, "limit TotalSamples"},
		"labels":                {[]Instance{samples(1, 3), names}, ""},
		"too many labels":       {[]Instance{samples(2, 4)}, "limit TotalLabels"},
		"too many in two blobs": {[]Instance{samples(1, 4), names}, "limit TotalLabels"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := NewDecoder(limits)
			if err != nil {
				t.Fatal(err)
			}
			data := AppendRequest(nil, NewRequest("t", test.instances))
			for range 2 { // a decoder starts anew with every request
				_, err = d.Decode(data)
				if test.exceeded == "" && err != nil {
					t.Fatal(err)
				}
				if test.exceeded != "" && (!errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), test.exceeded)) {
					t.Fatalf("got %v, want it to name %s", err, test.exceeded)
				}
			}
		})
	}
}

func TestLimitsMustBePositive(t *testing.T) {
	limits := DefaultLimits()
	limits.TotalLabels = 0
	if d, err := NewDecoder(limits); err == nil || !strings.Contains(err.Error(), "TotalLabels") {
		t.Errorf("got %v, %v", d, err)
	}
}

// TestMemory sends the streams that make the most of a byte, and holds the decoder to what the package promises.
func TestMemory(t *testing.T) {
	const n = 1 << 18
	ones := func(prefix ...byte) []byte { // a count of n, then n elements of one byte
		return append(appendUint(prefix, n), make([]byte, n+8)...)
	}
	limits := DefaultLimits()
	limits.Blobs, limits.TotalSamples, limits.TotalLabels = n, n, n
	for name, test := range map[string]struct {
		body []byte
		most uint64 // bytes
	}{
		"instances":          {ones(1), 96 * n},
		"samples":            {ones(1, 1, 1), 80 * n},
		"labels":             {ones(1, 1, 1, 1, 1), 32 * n},
		"names":              {ones(1, 1, 2), 32 * n},
		"too many names":     {append(appendUint([]byte{1, 1, 2}, n+1), make([]byte, n+1)...), 0},
		"announced samples":  {append(appendUint([]byte{1, 1, 1}, n+1), make([]byte, n)...), 0},
		"a label each":       {append(appendUint([]byte{1, 1, 1}, n), bytes.Repeat([]byte{1, 1, 0, 0}, n)...), 80*n + 2*32*n},
		"slices of nothing":  {ones(2), 0},
		"a message of zeros": {make([]byte, n), 0},
	} {
		t.Run(name, func(t *testing.T) {
			data := join(wireTypes(), message(65, test.body))
			d, err := NewDecoder(limits)
			if err != nil {
				t.Fatal(err)
			}
			before := allocated()
			_, _ = d.Decode(data)
			if took := allocated() - before; took > test.most+64<<10 {
				t.Errorf("%d bytes for %d, want at most %d", took, len(data), test.most)
			}
		})
	}
}

// TestMemoryOfStrings: strings that are all different must not make a table many times their size.
func TestMemoryOfStrings(t *testing.T) {
	const n = 1 << 20
	body := appendUint([]byte{1, 1, 2}, n)
	for i := range n {
		body = append(body, 3, byte(i), byte(i>>8), byte(i>>16))
	}
	d := newDecoder(t)
	before := allocated()
	r, err := d.Decode(join(wireTypes(), message(65, append(body, 0, 0))))
	if err != nil {
		t.Fatal(err)
	}
	if took, most := allocated()-before, uint64(16*n+len(body)+64<<20); took > most {
		t.Errorf("%d bytes, want at most %d", took, most)
	}
	if names := r.IData[0].OLabels; names[n-1] != "\xff\xff\x0f" || names[maxInterned+5] != "\x05\x00\x04" {
		t.Errorf("wrong names %q, %q", names[n-1], names[maxInterned+5])
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
