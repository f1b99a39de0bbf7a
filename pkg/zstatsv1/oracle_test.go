package zstatsv1

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// equalRequests compares values by their bits; an empty slice equals none, which gob cannot tell apart.
var equalRequests = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmpopts.EquateEmpty(),
}

func newDecoder(t testing.TB) *Decoder {
	t.Helper()
	d, err := NewDecoder(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func gobEncode(t testing.TB, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(v); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gobDecode[T any](data []byte) (*T, error) {
	v := new(T)
	return v, gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

// stricter reports whether an error is one of those that the package's documentation lists: encoding/gob accepts what
// it refuses.
func stricter(err error) bool {
	if errors.Is(err, ErrTooLarge) {
		return true
	}
	for _, reason := range []string{reasonOpen, reasonHuge, reasonNumber, reasonUndefined, reasonUndescribed,
		reasonTwoKinds, reasonNoName, reasonTwice, reasonInterface} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}

// compareWithGob checks a result against encoding/gob's.
func compareWithGob[T any](t *testing.T, data []byte, got *T, err error) {
	t.Helper()
	want, gobErr := gobDecode[T](data)
	switch {
	case err == nil && gobErr != nil:
		t.Errorf("accepted what encoding/gob refuses: %v\n%x", gobErr, data)
	case err != nil && gobErr == nil && !stricter(err):
		t.Errorf("refused what encoding/gob accepts: %v\n%x", err, data)
	case err == nil:
		if diff := cmp.Diff(want, got, equalRequests); diff != "" {
			t.Errorf("differs from encoding/gob (-gob +got):\n%s\n%x", diff, data)
		}
	}
}

// random makes requests with every kind of value at every edge.
type random struct{ *rand.Rand }

func newRandom(t testing.TB, seed int64) random {
	t.Logf("seed %d", seed)
	return random{rand.New(rand.NewSource(seed))}
}

// integer returns an integer of any length that fits the bits.
func (r random) integer(bits int) int64 {
	v := int64(r.Uint64()) >> (64 - bits) >> r.Intn(bits)
	switch r.Intn(8) {
	case 0:
		return 0
	case 1:
		return -v
	case 2:
		return math.MinInt64 >> (64 - bits)
	case 3:
		return math.MaxInt64 >> (64 - bits)
	}
	return v
}

func (r random) float() float64 {
	special := []float64{0, 1, -1, 0.1, 1e300, 5e-324, math.Inf(1), math.Inf(-1), math.NaN()}
	if r.Intn(2) == 0 {
		return special[r.Intn(len(special))]
	}
	return math.Float64frombits(r.Uint64())
}

func (r random) text() string {
	texts := []string{"", "a", "job", "counter", "\x00\xff", "ä€\n", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 7_000)}
	return texts[r.Intn(len(texts)-r.Intn(2))]
}

func (r random) request() *Request {
	v := &Request{Version: int8(r.integer(8)), Token: r.text(), IData: make([]Instance, r.Intn(4))}
	v.NInsts = int32(len(v.IData))
	for i := range v.IData {
		v.IData[i] = r.instance()
	}
	return v
}

func (r random) instance() Instance {
	v := Instance{
		Instance: r.text(), NSamples: int(r.integer(64)), IsIncr: r.Intn(2) == 0,
		Gen: r.integer(64), GTs: r.integer(64),
		Samples: make([]Sample, r.Intn(6)), OLabels: make([]string, r.Intn(3)),
	}
	for i := range v.Samples {
		v.Samples[i] = r.sample()
	}
	for i := range v.OLabels {
		v.OLabels[i] = r.text()
	}
	return v
}

func (r random) sample() Sample {
	v := Sample{
		Idx: int32(r.integer(32)), Ls: make([]Label, r.Intn(4)), Help: r.text(), Type: r.text(),
		Ts: r.integer(64), Val: r.float(),
	}
	for i := range v.Ls {
		v.Ls[i] = Label{Name: r.text(), Value: r.text()}
	}
	return v
}
