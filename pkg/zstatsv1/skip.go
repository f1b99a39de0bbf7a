package zstatsv1

// skip reads over a value of any type. Every element takes at least one byte, so the work is bounded by the input.
func (t *typeTable) skip(c *cursor, ref typeRef, depth int) {
	switch ref {
	case refBool, refInt, refUint, refFloat:
		c.uint()
	case refComplex:
		c.uint()
		c.uint()
	case refBytes, refString:
		c.bytes()
	case refInterface:
		c.malformed(reasonInterface)
	default:
		t.skipDefined(c, t.def(ref), depth+1)
	}
}

func (t *typeTable) skipDefined(c *cursor, def *typeDef, depth int) {
	if depth > maxDepth {
		c.fail(ErrTooLarge, "values nested deeper than %d", maxDepth)
		return
	}
	switch def.kind {
	case kindArray:
		n := c.count()
		if int64(n) != def.length {
			c.malformed("an array of %d elements has %d", def.length, n)
		}
		t.skipElements(c, def, n, depth)
	case kindSlice:
		t.skipElements(c, def, c.count(), depth)
	case kindMap:
		for n := c.count(); n > 0 && c.err == nil; n-- {
			t.skip(c, def.key, depth)
			t.skip(c, def.elem, depth)
		}
	case kindStruct:
		t.skipStruct(c, def, depth)
	default:
		c.bytes()
	}
}

func (t *typeTable) skipElements(c *cursor, def *typeDef, n, depth int) {
	for ; n > 0 && c.err == nil; n-- {
		t.skip(c, def.elem, depth)
	}
}

func (t *typeTable) skipStruct(c *cursor, def *typeDef, depth int) {
	fields := t.structFields(def)
	for f := c.field(-1, len(fields)); f >= 0; f = c.field(f, len(fields)) {
		t.skip(c, fields[f].typ, depth)
	}
}
