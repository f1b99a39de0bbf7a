package zstatsv1

import "math"

// typeRef refers to a gob type: a builtin one by its number, one of the stream's definitions by firstDefined plus its
// position in typeTable.defs.
type typeRef int32

// The builtin types of gob, by the numbers that its documentation gives them.
const (
	refBool      typeRef = 1
	refInt       typeRef = 2
	refUint      typeRef = 3
	refFloat     typeRef = 4
	refBytes     typeRef = 5
	refString    typeRef = 6
	refComplex   typeRef = 7
	refInterface typeRef = 8

	// firstDefined is the lowest number of a type that a stream may define.
	firstDefined typeRef = 64
)

// typeKind is what a type definition describes: the number of the description's field in gob's wireType.
type typeKind int8

const (
	kindNone         typeKind = -1
	kindArray        typeKind = 0
	kindSlice        typeKind = 1
	kindStruct       typeKind = 2
	kindMap          typeKind = 3
	kindGobEncoder   typeKind = 4 // this and those below travel as counted bytes
	kindBinary       typeKind = 5
	kindText         typeKind = 6
	kindsOfWireTypes          = 7
)

// fields returns the number of fields in the kind's description. The first is always the type's name and number.
func (k typeKind) fields() int {
	switch k {
	case kindArray, kindMap:
		return 3
	case kindSlice, kindStruct:
		return 2
	default:
		return 1
	}
}

// typeDef is one type of the stream. Numbers of types stand in it as they were sent until typeTable.resolve.
type typeDef struct {
	id   typeRef
	kind typeKind
	// elem is the type of an array's, slice's or map's elements, key that of a map's keys.
	elem, key typeRef
	// length is an array's.
	length int64
	// first and end bound a struct's fields in typeTable.fields.
	first, end int
}

// fieldDef is one field of a struct. Its name is a piece of the input.
type fieldDef struct {
	nameAt, nameEnd int
	typ             typeRef
}

// typeTable holds the type definitions of one stream.
type typeTable struct {
	defs   []typeDef
	fields []fieldDef
}

func (t *typeTable) reset() { t.defs, t.fields = t.defs[:0], t.fields[:0] }

// def returns the definition that ref refers to, nil for a builtin type.
func (t *typeTable) def(ref typeRef) *typeDef {
	if ref < firstDefined {
		return nil
	}
	return &t.defs[ref-firstDefined]
}

// structFields returns the fields of a struct type.
func (t *typeTable) structFields(def *typeDef) []fieldDef { return t.fields[def.first:def.end] }

// define reads the definition of type id. The definition must end with the message.
func (t *typeTable) define(c *cursor, id int64) {
	switch {
	case id > math.MaxInt32:
		c.malformed(reasonNumber)
		return
	case id < int64(firstDefined):
		c.malformed("type %d is builtin and cannot be defined", id)
		return
	case t.find(typeRef(id)) != 0:
		c.malformed("type %d is defined twice", id)
		return
	case len(t.defs) == maxTypes:
		c.fail(ErrTooLarge, "more than %d types", maxTypes)
		return
	}
	def := typeDef{id: typeRef(id), kind: kindNone}
	for f := c.field(-1, kindsOfWireTypes); f >= 0; f = c.field(f, kindsOfWireTypes) {
		if def.kind != kindNone {
			c.malformed(reasonTwoKinds)
			return
		}
		def.kind = typeKind(f)
		t.describe(c, &def)
	}
	switch {
	case c.err != nil:
	case def.kind == kindNone:
		c.malformed(reasonUndescribed)
	case c.left() > 0:
		c.malformed("%d bytes behind the definition of type %d", c.left(), id)
	default:
		t.defs = append(t.defs, def)
	}
}

// describe reads the description of def, which begins with the type's name and number: nobody needs them.
func (t *typeTable) describe(c *cursor, def *typeDef) {
	n := def.kind.fields()
	for f := c.field(-1, n); f >= 0; f = c.field(f, n) {
		switch {
		case f == 0:
			skipCommon(c)
		case def.kind == kindStruct:
			t.describeFields(c, def)
		case f == 1 && def.kind == kindMap:
			def.key = typeRef(c.int32())
		case f == 2 && def.kind == kindArray:
			def.length = c.int()
		default:
			def.elem = typeRef(c.int32())
		}
	}
}

// skipCommon reads a CommonType: the type's name and its number once more.
func skipCommon(c *cursor) {
	for f := c.field(-1, 2); f >= 0; f = c.field(f, 2) {
		if f == 0 {
			c.bytes()
		} else {
			c.int32()
		}
	}
}

func (t *typeTable) describeFields(c *cursor, def *typeDef) {
	n := c.count()
	if len(t.fields)+n > maxFields {
		c.fail(ErrTooLarge, "more than %d fields in all types", maxFields)
		return
	}
	def.first = len(t.fields)
	for range n {
		t.fields = append(t.fields, describeField(c))
	}
	def.end = len(t.fields)
}

func describeField(c *cursor) (field fieldDef) {
	for f := c.field(-1, 2); f >= 0; f = c.field(f, 2) {
		if f == 0 {
			n := len(c.bytes())
			field.nameAt, field.nameEnd = c.pos-n, c.pos
		} else {
			field.typ = typeRef(c.int32())
		}
	}
	if field.nameAt == field.nameEnd {
		c.malformed(reasonNoName)
	}
	return field
}

// resolve replaces the numbers of types by references, once all definitions have been read.
func (t *typeTable) resolve(c *cursor) {
	for i := range t.defs {
		def := &t.defs[i]
		switch def.kind {
		case kindMap:
			def.key = t.ref(c, def.key)
			def.elem = t.ref(c, def.elem)
		case kindArray, kindSlice:
			def.elem = t.ref(c, def.elem)
		}
	}
	for i := range t.fields {
		t.fields[i].typ = t.ref(c, t.fields[i].typ)
	}
}

// ref returns the reference to the type with a number.
func (t *typeTable) ref(c *cursor, id typeRef) typeRef {
	if refBool <= id && id <= refInterface {
		return id
	}
	ref := t.find(id)
	if ref == 0 {
		c.malformed(reasonUndefined+" %d", id)
	}
	return ref
}

// find looks for a definition, and returns 0 if there is none.
func (t *typeTable) find(id typeRef) typeRef {
	for i := range t.defs {
		if t.defs[i].id == id {
			return firstDefined + typeRef(i)
		}
	}
	return 0
}
