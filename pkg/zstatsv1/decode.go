package zstatsv1

import "math"

// Decoder decodes requests, one after another, and keeps its memory between them. It is for one goroutine at a time;
// servers pool decoders.
type Decoder struct {
	limits Limits
	s      stream

	// Plans for the structs of the stream at hand.
	request, instance, sample, label plan

	// What the limits of a request still leave.
	samplesLeft, labelsLeft int

	strings interner
	samples arena[Sample]
	labels  arena[Label]
	value   Request
}

// NewDecoder returns a decoder that keeps the limits.
func NewDecoder(limits Limits) (*Decoder, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	return &Decoder{limits: limits}, nil
}

// Reset forgets the last request, whose slices become invalid, and gives back memory that an ordinary request doesn't
// need; about 9 MB may stay. Call it before a decoder goes back into a pool.
func (d *Decoder) Reset() {
	d.s.cursor = cursor{}
	d.strings.reset()
	d.samples.reset()
	d.labels.reset()
	clear(d.value.IData)
	d.value = Request{IData: d.value.IData[:0]}
}

// A sample that says anything takes at least minSampleBytes on the wire, a label minLabelBytes. A request with more elements than
// its size explains has empty ones, which take a byte and become many times that in memory; a few are let through.
const (
	minSampleBytes = 4
	minLabelBytes  = 4
	someElements   = 4096
)

// Decode decodes the uncompressed body of a request; what follows the value is ignored. The error is an *Error, either
// ErrMalformed or ErrTooLarge.
//
// The request and its slices belong to the decoder and are valid until its next Decode or Reset. The strings in it are
// the caller's to keep: they share memory neither with data nor with the decoder, and the token and the targets' names
// share none with each other either.
func (d *Decoder) Decode(data []byte) (*Request, error) {
	d.Reset()
	d.samplesLeft = min(d.limits.TotalSamples, len(data)/minSampleBytes+someElements)
	d.labelsLeft = min(d.limits.TotalLabels, len(data)/minLabelBytes+someElements)
	if def := d.s.open(data); def != nil {
		d.match(def)
	}
	if d.s.err == nil {
		d.readRequest()
	}
	if d.s.err != nil {
		return nil, d.s.err
	}
	return &d.value, nil
}

// match makes the plans for all structs of a request.
func (d *Decoder) match(def *typeDef) {
	d.request = d.s.match(d.request, def, knownRequest)
	if len(d.request) > 0 && !d.request.knows() {
		d.s.malformed("a struct that has no field of a request")
	}
	d.instance = d.matchElements(d.instance, d.request, slotIData, knownInstance)
	d.sample = d.matchElements(d.sample, d.instance, slotSamples, knownSample)
	d.label = d.matchElements(d.label, d.sample, slotLs, knownLabel)
}

// matchElements makes the plan p for the elements of a field of the plan outer.
func (d *Decoder) matchElements(p, outer plan, field slot, known known) plan {
	if d.s.err != nil {
		return p[:0]
	}
	def := d.s.elements(outer, field)
	if def == nil {
		return p[:0]
	}
	return d.s.match(p, def, known)
}

func (d *Decoder) readRequest() {
	s, v, at := &d.s, &d.value, -1
	for f := s.next(d.request, at); f >= 0; f = s.next(d.request, f) {
		at = f
		switch d.request[f].slot {
		case slotVersion:
			v.Version = s.int8()
		case slotToken:
			v.Token = string(s.bytes())
		case slotNInsts:
			v.NInsts = s.int32()
		case slotIData:
			d.readInstances()
		default:
			s.skipField(&d.request[f])
		}
	}
	s.blame(d.request, at)
}

func (d *Decoder) readInstances() {
	n := d.s.count()
	if n > d.limits.Blobs {
		d.s.fail(ErrTooLarge, "%d instances, the limit Blobs is %d", n, d.limits.Blobs)
		return
	}
	if cap(d.value.IData) < n {
		d.value.IData = make([]Instance, 0, n)
	}
	d.value.IData = d.value.IData[:n]
	for i := range d.value.IData {
		if d.readInstance(&d.value.IData[i]); d.s.err != nil {
			d.s.err.withinElement(i)
			return
		}
	}
}

func (d *Decoder) readInstance(v *Instance) {
	s, at := &d.s, -1
	for f := s.next(d.instance, at); f >= 0; f = s.next(d.instance, f) {
		at = f
		switch d.instance[f].slot {
		case slotInstance:
			v.Instance = string(s.bytes())
		case slotNSamples:
			v.NSamples = int(s.intIn(math.MinInt, math.MaxInt))
		case slotIsIncr:
			v.IsIncr = s.uint() != 0
		case slotGen:
			v.Gen = s.int()
		case slotGTs:
			v.GTs = s.int()
		case slotSamples:
			v.Samples = d.readSamples()
		case slotOLabels:
			v.OLabels = d.readOptionalLabels()
		default:
			s.skipField(&d.instance[f])
		}
	}
	s.blame(d.instance, at)
}

// take reads a count and takes it from what a limit leaves.
func (d *Decoder) take(left *int, limit string) int {
	n := d.s.count()
	if n > *left {
		d.s.fail(ErrTooLarge, "%d more exceed the limit %s, or what a request of this size can hold", n, limit)
		return 0
	}
	*left -= n
	return n
}

func (d *Decoder) readOptionalLabels() []string {
	names := make([]string, d.take(&d.labelsLeft, "TotalLabels"))
	for i := range names {
		if names[i] = d.strings.string(d.s.bytes()); d.s.err != nil {
			d.s.err.withinElement(i)
			return nil
		}
	}
	return names
}

func (d *Decoder) readSamples() []Sample {
	samples := d.samples.take(d.take(&d.samplesLeft, "TotalSamples"))
	last := new(Sample)
	for i := range samples {
		if d.readSample(&samples[i], last); d.s.err != nil {
			d.s.err.withinElement(i)
			return nil
		}
		last = &samples[i]
	}
	return samples
}

// readSample reads a sample. The one before it is where most of its strings are found again.
func (d *Decoder) readSample(v, last *Sample) {
	s, at := &d.s, -1
	for f := s.next(d.sample, at); f >= 0; f = s.next(d.sample, f) {
		at = f
		switch d.sample[f].slot {
		case slotIdx:
			v.Idx = s.int32()
		case slotLs:
			v.Ls = d.readLabels(last.Ls)
		case slotHelp:
			v.Help = d.strings.like(last.Help, s.bytes())
		case slotType:
			v.Type = d.strings.like(last.Type, s.bytes())
		case slotTs:
			v.Ts = s.int()
		case slotVal:
			v.Val = s.float()
		default:
			s.skipField(&d.sample[f])
		}
	}
	s.blame(d.sample, at)
}

func (d *Decoder) readLabels(last []Label) []Label {
	labels := d.labels.take(d.take(&d.labelsLeft, "TotalLabels"))
	for i := range labels {
		var before Label
		if i < len(last) {
			before = last[i]
		}
		if d.readLabel(&labels[i], before); d.s.err != nil {
			d.s.err.withinElement(i)
			return nil
		}
	}
	return labels
}

func (d *Decoder) readLabel(v *Label, before Label) {
	s, at := &d.s, -1
	for f := s.next(d.label, at); f >= 0; f = s.next(d.label, f) {
		at = f
		switch d.label[f].slot {
		case slotName:
			v.Name = d.strings.like(before.Name, s.bytes())
		case slotValue:
			v.Value = d.strings.like(before.Value, s.bytes())
		default:
			s.skipField(&d.label[f])
		}
	}
	s.blame(d.label, at)
}
