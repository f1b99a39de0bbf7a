package zstatsv1

import "math"

// stream reads one gob value with the type definitions in front of it.
type stream struct {
	cursor
	types typeTable
}

// open reads the definitions and stands then at the first field of the value, which must be a struct. It returns the
// struct's type, nil after an error.
func (s *stream) open(data []byte) *typeDef {
	s.cursor = cursor{}
	s.types.reset()
	for {
		id := s.nextMessage(data)
		switch {
		case s.err != nil:
			return nil
		case id >= 0:
			return s.openValue(id)
		}
		s.types.define(&s.cursor, -id)
	}
}

// nextMessage moves to the next message and reads the number of its type, negative in a definition.
func (s *stream) nextMessage(data []byte) int64 {
	s.data = data
	if s.left() == 0 {
		s.malformed("the input ends before a value")
		return 0
	}
	n := s.count()
	s.data = data[:s.pos+n]
	return s.int()
}

func (s *stream) openValue(id int64) *typeDef {
	if id > math.MaxInt32 {
		s.malformed(reasonNumber)
		return nil
	}
	s.types.resolve(&s.cursor)
	ref := s.types.find(typeRef(id))
	if ref == 0 {
		s.malformed("a value of "+reasonUndefined+" %d", id)
	}
	if s.err != nil {
		return nil
	}
	def := s.types.def(ref)
	if def.kind != kindStruct {
		s.malformed("a value that is no struct")
		return nil
	}
	return def
}

// slot names a field of one of this package's structs.
type slot uint8

// slotUnknown is the slot of a field that is skipped. Every struct numbers its own fields from 1.
const slotUnknown slot = 0

// shape is the type that a known field must have.
type shape uint8

const (
	shapeBool shape = iota + 1
	shapeInt
	shapeFloat
	shapeString
	shapeInts    // slice of integers
	shapeStrings // slice of strings
	shapeStructs // slice of structs
)

// plan tells, for each field of a struct type in the stream, what to do with its values.
type plan []planField

type planField struct {
	slot slot
	fieldDef
}

// match makes the plan to read values of type def into one of this package's structs. It reuses p's memory.
func (s *stream) match(p plan, def *typeDef, known known) plan {
	p = p[:0]
	var seen uint32
	for _, f := range s.types.structFields(def) {
		name := s.data[f.nameAt:f.nameEnd]
		slot, want := known.field(string(name))
		switch {
		case slot == slotUnknown:
		case seen&(1<<slot) != 0:
			s.malformed("field %s "+reasonTwice, name)
		case !s.types.has(f.typ, want):
			s.malformed("field %s has another type", name)
		}
		seen |= 1 << slot
		p = append(p, planField{slot: slot, fieldDef: f})
	}
	return p
}

// has reports whether a type has a shape.
func (t *typeTable) has(ref typeRef, want shape) bool {
	switch want {
	case shapeBool:
		return ref == refBool
	case shapeInt:
		return ref == refInt
	case shapeFloat:
		return ref == refFloat
	case shapeString:
		return ref == refString
	}
	def := t.def(ref)
	if def == nil || def.kind != kindSlice {
		return false
	}
	switch want {
	case shapeInts:
		return def.elem == refInt
	case shapeStrings:
		return def.elem == refString
	default:
		elem := t.def(def.elem)
		return elem != nil && elem.kind == kindStruct
	}
}

// elements returns the struct type of the elements of the plan's field in slot, nil if the stream has no such field.
func (s *stream) elements(p plan, slot slot) *typeDef {
	for _, f := range p {
		if f.slot == slot {
			return s.types.def(s.types.def(f.typ).elem)
		}
	}
	return nil
}

// knows reports whether any field of the plan will be read.
func (p plan) knows() bool {
	for _, f := range p {
		if f.slot != slotUnknown {
			return true
		}
	}
	return false
}

// next is cursor.field for the struct of a plan.
func (s *stream) next(p plan, at int) int { return s.field(at, len(p)) }

// skipField reads over the value of an unknown field.
func (s *stream) skipField(f *planField) { s.types.skip(&s.cursor, f.typ, 0) }

// blame puts the name of the plan's field in front of the error's path.
func (s *stream) blame(p plan, field int) {
	if s.err != nil && field >= 0 {
		f := p[field]
		s.err.within(string(s.data[f.nameAt:f.nameEnd]))
	}
}
