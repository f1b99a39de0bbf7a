package scrape

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzRebuild checks the rule for values: whatever a collector saw, its difference leads to a value that has this
// difference, and to that value itself if it is called proven.
func FuzzRebuild(f *testing.F) {
	for _, pair := range [][2]float64{
		{0.1, 1e16}, {1e16, 3}, {3, 0.3}, {1, 0}, {0, 1}, {0, negativeZero}, {negativeZero, 0}, {largest, -largest}, {largest, 1},
		{smallest, 0}, {smallest, -smallest}, {nan, 5}, {5, nan}, {inf, 7}, {2, 1}, {0x3p970, largest}, {0.3333333333333333, 1e-300},
	} {
		f.Add(math.Float64bits(pair[0]), math.Float64bits(pair[1]))
	}
	f.Fuzz(func(t *testing.T, previous, current uint64) {
		p, c := math.Float64frombits(previous), math.Float64frombits(current)
		d := Delta(p, c)
		if !isFinite(d) {
			checkFinite(t, c, p) // any pair of doubles is a state and a difference
			return
		}
		got, how := rebuild(p, d)
		switch {
		case how == contradicted:
			t.Fatalf("%v -> %v: nothing fits the difference %v", p, c, d)
		case got-p != d:
			t.Fatalf("%v -> %v: %v has not the difference %v", p, c, got, d)
		case how == proven && got != c:
			t.Fatalf("%v -> %v: %v is called proven", p, c, got)
		case how == proven && c != 0 && math.Float64bits(got) != math.Float64bits(c):
			t.Fatalf("%v -> %v: the bits of %v differ", p, c, got)
		}
		checkRebuild(t, p, d)
		checkFinite(t, p, c)
	})
}

// checkFinite takes c for a difference that no collector need have made.
func checkFinite(t *testing.T, p, c float64) {
	t.Helper()
	if isFinite(c) && isFinite(p) {
		checkRebuild(t, p, c)
	}
}

// FuzzApply folds blobs that are made of any bytes and checks what holds after every one of them.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 1, 3, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 1, 1, 1, 1, 5, 5, 1, 2, 3, 0, 2, 1, 9, 9, 1})
	f.Add([]byte("\x00\x05\x02\x00abcdefghijklmnopqrstuvwxyz\x01\x01\x02\x01ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	f.Fuzz(func(t *testing.T, data []byte) { foldBytes(t, data, func(Outcome) {}) })
}

// The blobs that FuzzApply makes meet every way in which a blob can end.
func TestApplyAnyBlob(t *testing.T) {
	r := newRand(t)
	seen := map[string]int{}
	for range 1000 {
		data := make([]byte, 1000)
		_, _ = r.Read(data) // never fails
		foldBytes(t, data, func(out Outcome) { seen[out.Reason]++ })
	}
	t.Log(seen)
	for _, reason := range append(Reasons(), "") {
		if seen[reason] == 0 {
			t.Errorf("no blob ended with %q", reason)
		}
	}
}

func foldBytes(t *testing.T, data []byte, report func(Outcome)) {
	bytes := source(data)
	var st *State
	for k := 0; len(bytes) > 0 && k < 100; k++ {
		b := bytes.blob(st)
		at := Arrival{Received: int64(bytes.byte()) - 100, Sequence: uint64(k)}
		var out Outcome
		st = applyChecked(t, st, b, at, &out)
		report(out)
	}
}

// source hands out bytes, then zeros.
type source []byte

func (s *source) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *source) word() uint64 {
	var buf [8]byte
	*s = (*s)[copy(buf[:], *s):]
	return binary.LittleEndian.Uint64(buf[:])
}

// blob returns a blob that fits st more or less, so that some are accepted and the others are refused for every reason.
func (s *source) blob(st *State) *Blob {
	b := &Blob{Generation: int64(s.byte()), Time: s.time(), Samples: int(s.byte() % 8)}
	kind, n := s.byte(), b.Samples
	if kind&1 == 0 {
		b.Schema = schemaOf("m", n)
	} else if st != nil && kind&2 == 0 {
		b.Generation, b.Samples = st.Generation+1, len(st.Values)
		n = int(s.byte()) % (b.Samples + 1)
		if kind&0xc == 0xc {
			b.Samples++
		}
	}
	for k := range n {
		if !b.Full() {
			b.Index = append(b.Index, int32(k)+int32(s.byte()%3))
		}
		b.Values = append(b.Values, s.value())
		b.Times = append(b.Times, s.time())
	}
	if kind&0xf0 == 0xf0 { // lists that don't fit
		b.Times = b.Times[:n/2]
	}
	return b
}

// time returns a short time often, any other now and then.
func (s *source) time() int64 {
	if b := s.byte(); b < 230 {
		return int64(b) - 20
	}
	return int64(s.word())
}

func (s *source) value() float64 {
	b := s.byte()
	if b < 200 {
		return float64(b)/10 - 5
	}
	if b < 205 {
		return []float64{nan, inf, -inf, largest, negativeZero}[b-200]
	}
	return math.Float64frombits(s.word())
}
