package collector

import (
	"time"
	"unsafe"

	"github.com/zstats/zstats/pkg/scrape"
)

// reason says why a blob is sent in its full form.
type reason string

const (
	reasonNone reason = ""
	// reasonFirst: the collector has sent nothing of the target before.
	reasonFirst reason = "first"
	// reasonSchema: series, HELP or TYPE have changed.
	reasonSchema reason = "schema"
	// reasonInexact: the server would rebuild another value from the difference.
	reasonInexact reason = "inexact"
	// reasonNonFinite: a difference is NaN or infinite.
	reasonNonFinite reason = "non_finite"
	// reasonUnproven: the server would rebuild every value, but not prove it.
	reasonUnproven reason = "unproven"
	// reasonGap: the server is not known to have the target's scrape before.
	reasonGap reason = "gap"
	// reasonResend: the server asked for it.
	reasonResend reason = "resend"
)

func fullReasons() []reason {
	return []reason{reasonFirst, reasonSchema, reasonInexact, reasonNonFinite, reasonUnproven, reasonGap, reasonResend}
}

// pending is a blob on its way to the server, in both forms. Once taken from the queue it belongs to the sender.
type pending struct {
	target string
	schema *sizedSchema
	scrape *scrape.Scrape
	// delta is the incremental form; nil if there is none.
	delta *scrape.Blob
	// full says that the full form is to be sent, for the reason why. It never changes back, so a blob whose answer was lost
	// is sent again in the same form.
	full bool
	why  reason
	// refusals counts how often the server did not take the blob although it should have (see maxRefusals).
	refusals int

	// order is the blob's place among those of all targets, since when it waits there.
	order int64
	since time.Time
	// file is the buffer's file that holds the blob; nil if it is in memory only.
	file *bufferFile
}

func newPending(target string, l link) *pending {
	return &pending{
		target: target,
		schema: l.schema,
		scrape: &l.state.Scrape,
		delta:  l.delta,
		full:   l.delta == nil,
		why:    l.why,
	}
}

// blob returns the form in which p is to be sent.
func (p *pending) blob() *scrape.Blob {
	if p.full {
		return fullBlob(p.schema.Schema, p.scrape)
	}
	return p.delta
}

// memory returns how many bytes p holds, apart from its schema, which it may share with others.
func (p *pending) memory() int64 {
	size := int64(unsafe.Sizeof(*p)) + int64(unsafe.Sizeof(scrape.State{}))
	size += 8*int64(len(p.scrape.Values)) + 16*int64(len(p.scrape.Stamps)) + 4*int64(len(p.scrape.Inferred))
	if p.delta != nil {
		size += int64(unsafe.Sizeof(*p.delta)) + 20*int64(len(p.delta.Index))
	}
	return size
}

// wire returns about how many bytes p takes in a request, uncompressed.
func (p *pending) wire() int64 {
	const perSample = 24
	if p.full {
		return perSample*int64(len(p.scrape.Values)) + p.schema.wire
	}
	return perSample * int64(len(p.delta.Index))
}

// sizedSchema is a schema with about how many bytes it takes, in memory and in a request. Several blobs may refer to one.
type sizedSchema struct {
	*scrape.Schema
	memory, wire int64
}

// sizeOf measures a schema. Strings count as if none were shared.
func sizeOf(s *scrape.Schema) *sizedSchema {
	const perLabel = 4
	out := &sizedSchema{Schema: s, memory: int64(unsafe.Sizeof(*s))}
	for i := range s.Series {
		series := &s.Series[i]
		text := len(series.Help) + len(series.Type)
		for _, l := range series.Labels {
			text += len(l.Name) + len(l.Value)
		}
		labels := int64(len(series.Labels))
		out.wire += int64(text) + perLabel*labels
		out.memory += int64(text) + int64(unsafe.Sizeof(scrape.Label{}))*labels + int64(unsafe.Sizeof(*series))
	}
	return out
}
