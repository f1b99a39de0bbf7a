package zstatsv1

// DecodeResponse decodes the body of a reply; what follows the value is ignored. The memory it takes is about the
// length of data. The error is an *Error.
func DecodeResponse(data []byte) (*Response, error) {
	var s stream
	var p plan
	v := new(Response)
	if def := s.open(data); def != nil {
		p = s.match(p, def, knownResponse)
		if len(p) > 0 && !p.knows() {
			s.malformed("a struct that has no field of a reply")
		}
	}
	if s.err == nil {
		readResponse(&s, p, v)
	}
	if s.err != nil {
		return nil, s.err
	}
	return v, nil
}

func readResponse(s *stream, p plan, v *Response) {
	at := -1
	for f := s.next(p, at); f >= 0; f = s.next(p, f) {
		at = f
		switch p[f].slot {
		case slotReplyVersion:
			v.Version = s.int8()
		case slotMinPollSecs:
			v.MinPollSecs = s.int8()
		case slotErr:
			v.Err = string(s.bytes())
		case slotReplyNInsts:
			v.NInsts = s.int32()
		case slotIErrCodes:
			v.IErrCodes = readCodes(s)
		default:
			s.skipField(&p[f])
		}
	}
	s.blame(p, at)
}

func readCodes(s *stream) []int8 {
	codes := make([]int8, s.count())
	for i := range codes {
		if codes[i] = s.int8(); s.err != nil {
			s.err.withinElement(i)
			return nil
		}
	}
	return codes
}
