package zstatsv1

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zstats/zstats/pkg/scrape"
)

const (
	// MaxNameBytes is the longest name of a target.
	MaxNameBytes = 1024
	// MaxTypeBytes is the longest metric type.
	MaxTypeBytes = 64
)

// Blob turns the instance into a blob of the domain, which shares no memory with it apart from strings.
//
// The error is an ErrRefused for a target's name or a full blob that can never be accepted, and an ErrResend for an
// incremental blob; an ErrResend that is also an ErrNotFinite if only a difference is to blame.
func (in *Instance) Blob(limits Limits) (*scrape.Blob, error) {
	if err := checkName(in.Instance); err != nil {
		return nil, fmt.Errorf("%w: name of the target %w", ErrRefused, err)
	}
	if in.IsIncr {
		return in.incremental(limits)
	}
	b, err := in.full(limits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return b, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > MaxNameBytes:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(name), MaxNameBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q has a control character", name)
	}
	return nil
}

// checkCount checks NSamples alone.
func (in *Instance) checkCount(limits Limits) error {
	switch {
	case in.NSamples < 1:
		return fmt.Errorf("NSamples is %d", in.NSamples)
	case in.NSamples > min(limits.Samples, math.MaxInt32):
		return fmt.Errorf("%d samples, the limit Samples is %d", in.NSamples, limits.Samples)
	}
	return nil
}

func (in *Instance) incremental(limits Limits) (*scrape.Blob, error) {
	if err := in.checkCount(limits); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResend, err)
	}
	b := in.newBlob()
	b.Index = make([]int32, len(in.Samples))
	before := int32(-1)
	for i := range in.Samples {
		s := &in.Samples[i]
		if s.Idx <= before || int(s.Idx) >= in.NSamples {
			return nil, fmt.Errorf("%w: sample %d has Idx %d after %d in a scrape of %d", ErrResend, i, s.Idx, before, in.NSamples)
		}
		if s.Val-s.Val != 0 { // NaN and infinities
			return nil, fmt.Errorf("%w: %w: sample %d at Idx %d is %v", ErrResend, ErrNotFinite, i, s.Idx, s.Val)
		}
		before = s.Idx
		b.Index[i], b.Values[i], b.Times[i] = s.Idx, s.Val, s.Ts
	}
	return b, nil
}

// newBlob returns the blob with what both forms have.
func (in *Instance) newBlob() *scrape.Blob {
	return &scrape.Blob{
		Generation: in.Gen,
		Time:       in.GTs,
		Samples:    in.NSamples,
		Values:     make([]float64, len(in.Samples)),
		Times:      make([]int64, len(in.Samples)),
	}
}

func (in *Instance) full(limits Limits) (*scrape.Blob, error) {
	if err := in.checkCount(limits); err != nil {
		return nil, err
	}
	if len(in.Samples) != in.NSamples {
		return nil, fmt.Errorf("NSamples is %d, but there are %d samples", in.NSamples, len(in.Samples))
	}
	labels, err := in.checkSamples(limits)
	if err != nil {
		return nil, err
	}
	if err := checkOptionalLabels(in.OLabels, limits); err != nil {
		return nil, err
	}
	b := in.newBlob()
	for i := range in.Samples {
		b.Values[i], b.Times[i] = in.Samples[i].Val, in.Samples[i].Ts
	}
	b.Schema = in.schema(labels)
	return b, nil
}

// schema copies the series, which have the given number of labels in all.
func (in *Instance) schema(labels int) *scrape.Schema {
	schema := &scrape.Schema{
		Series:         make([]scrape.Series, len(in.Samples)),
		OptionalLabels: append([]string(nil), in.OLabels...),
	}
	all := make([]Label, 0, labels)
	for i := range in.Samples {
		s := &in.Samples[i]
		at := len(all)
		all = append(all, s.Ls...)
		schema.Series[i] = scrape.Series{Labels: all[at:len(all):len(all)], Help: s.Help, Type: s.Type}
	}
	return schema
}

// InstanceOf returns the wire's form of a target's blob. It shares b's labels and optional labels.
func InstanceOf(target string, b *scrape.Blob) Instance {
	in := Instance{
		Instance: target,
		NSamples: b.Samples,
		IsIncr:   !b.Full(),
		Gen:      b.Generation,
		GTs:      b.Time,
		Samples:  make([]Sample, len(b.Values)),
	}
	for i := range in.Samples {
		in.Samples[i] = Sample{Idx: int32(i), Ts: b.Times[i], Val: b.Values[i]}
		if in.IsIncr {
			in.Samples[i].Idx = b.Index[i]
		}
	}
	if b.Full() {
		in.describe(b.Schema)
	}
	return in
}

func (in *Instance) describe(schema *scrape.Schema) {
	in.OLabels = schema.OptionalLabels
	for i := range in.Samples {
		series, s := &schema.Series[i], &in.Samples[i]
		s.Ls, s.Help, s.Type = series.Labels, series.Help, series.Type
	}
}
