package zstatsv1

import (
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAnyShape: fields in any order, unknown ones of any type between them, pointers and wider integers make no
// difference, and neither do the numbers of the types: gob numbers every type of the process anew.
func TestAnyShape(t *testing.T) {
	r, d := newRandom(t, time.Now().UnixNano()), newDecoder(t)
	for range 150 {
		want := r.request()
		v := reflect.New(r.reshape(reflect.TypeFor[Request]()))
		r.copy(v.Elem(), reflect.ValueOf(*want))
		got, err := d.Decode(gobEncode(t, v.Interface()))
		if err != nil {
			t.Fatalf("%v\n%v", err, v.Elem().Type())
		}
		if diff := cmp.Diff(want, got, equalRequests); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%v", diff, v.Elem().Type())
		}
	}
}

type node struct {
	Name string
	Next *node
}

type mixed struct {
	A []map[string][2]complex128
	B *node
	C struct{ D []struct{ E bool } }
}

// unknownTypes are types of fields that no version of the wire has: every kind that gob knows, apart from interfaces.
func unknownTypes() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[uint64](), reflect.TypeFor[float32](),
		reflect.TypeFor[complex64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[[3]byte](),
		reflect.TypeFor[[2][2]int](), reflect.TypeFor[[]string](), reflect.TypeFor[map[string]int](),
		reflect.TypeFor[map[[2]int16]*node](), reflect.TypeFor[***node](), reflect.TypeFor[[]mixed](), reflect.TypeFor[mixed](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[*big.Int](), reflect.TypeFor[map[string]netip.Addr](),
	}
}

// reshape makes a struct type like t with its fields in another order, more fields between them, others as pointers.
func (r random) reshape(t reflect.Type) reflect.Type {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		elem := r.reshape(t.Elem())
		if r.Intn(2) == 0 {
			elem = reflect.PointerTo(elem)
		}
		return reflect.SliceOf(elem)
	case t.Kind() != reflect.Struct:
		return r.widen(t)
	}
	var fields []reflect.StructField
	for i := range t.NumField() {
		fields = append(fields, reflect.StructField{Name: t.Field(i).Name, Type: r.reshape(t.Field(i).Type)})
	}
	unknown := unknownTypes()
	for _, name := range []string{"Extra", "Version2", "Ünknown"}[:r.Intn(4)] {
		fields = append(fields, reflect.StructField{Name: name, Type: unknown[r.Intn(len(unknown))]})
	}
	r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return reflect.StructOf(fields)
}

// widen returns a type that can hold t's values: integers are wider, and what is no slice may be behind a pointer.
func (r random) widen(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Int8, reflect.Int32, reflect.Int:
		t = reflect.TypeFor[int64]()
	}
	if r.Intn(3) == 0 && t.Kind() != reflect.Slice {
		return reflect.PointerTo(t)
	}
	return t
}

// copy sets the fields of to that from has, and gives values to all others.
func (r random) copy(to, from reflect.Value) {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		r.copy(to.Elem(), from)
	case reflect.Struct:
		for i := range to.NumField() {
			if part := from.FieldByName(to.Type().Field(i).Name); part.IsValid() {
				r.copy(to.Field(i), part)
			} else {
				r.fill(to.Field(i), 0)
			}
		}
	case reflect.Slice:
		to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			r.copy(to.Index(i), from.Index(i))
		}
	default:
		to.Set(from.Convert(to.Type()))
	}
}

// fill sets v to something. Pointers end at a depth, as types may contain themselves.
func (r random) fill(v reflect.Value, depth int) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(r.Int63n(1<<40), 5)
		return
	case *big.Int:
		x.SetInt64(r.Int63())
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{127, 0, 0, byte(r.Intn(256))})
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if depth < 5 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i), depth)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			r.fill(v.Index(i), depth)
		}
	case reflect.Map:
		r.fillMap(v, depth)
	default:
		x, _ := quick.Value(v.Type(), r.Rand)
		v.Set(x)
	}
}

func (r random) fillMap(v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	for range r.Intn(3) {
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		r.fill(key, depth)
		r.fill(elem, depth)
		v.SetMapIndex(key, elem)
	}
}
