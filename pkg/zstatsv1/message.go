package zstatsv1

import (
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/scrape"
)

// Version is the only version of this wire.
const Version = 1

// Codes of a Response, one for each Instance of the request.
const (
	// CodeStored says that the blob is kept. The collector forgets it.
	CodeStored int8 = 0
	// CodeSendFull asks for the full blob, in one more request at once.
	CodeSendFull int8 = 1
	// CodeFailed says that the blob can never be accepted. The collector drops it, and with it every blob that the same
	// reply answers with CodeSendFull.
	CodeFailed int8 = 2
)

// Request is the body of a POST: the blobs of some targets. A request without blobs asks for the server's health.
// The names of the fields are the wire's, as in all types of this file that travel.
type Request struct {
	Version int8
	// Token is a copy of the token in the request's header, which alone counts.
	Token string
	// NInsts is the number of elements of IData.
	NInsts int32
	IData  []Instance
}

// NewRequest returns the request that carries the instances.
func NewRequest(token string, instances []Instance) *Request {
	return &Request{Version: Version, Token: token, NInsts: int32(len(instances)), IData: instances}
}

// Check compares what the request says of itself: its version, and the number of its instances. The error is ErrVersion
// or ErrMalformed.
func (r *Request) Check() error {
	if r.Version != Version {
		return fmt.Errorf("%w: version %d, only %d is understood", ErrVersion, r.Version, Version)
	}
	if int(r.NInsts) != len(r.IData) {
		return &Error{Kind: ErrMalformed, Field: "NInsts",
			Reason: fmt.Sprintf("says %d instances, the request has %d", r.NInsts, len(r.IData))}
	}
	return nil
}

// Instance is one scrape of one target on the wire.
type Instance struct {
	// Instance is the target's name, "<instance>.<job>".
	Instance string
	// NSamples is the number of samples of the whole scrape, also where Samples holds only the changed ones.
	NSamples int
	// IsIncr tells that Samples hold differences to the previous generation.
	IsIncr bool
	// Gen is the generation.
	Gen int64
	// GTs is when the scrape began, milliseconds since the Unix epoch.
	GTs int64
	// Samples of a full blob are all samples in exposition order; of an incremental one those that changed.
	Samples []Sample
	// OLabels are names of labels that a learning consumer may ignore. Full blobs only.
	OLabels []string
}

// Label is one name and value of a sample.
type Label = scrape.Label

// Sample is one sample on the wire.
type Sample struct {
	// Idx is the position in the whole scrape, from 0.
	Idx int32
	// Ls, Help and Type are set in a full blob only. Help is the unescaped text.
	Ls   []Label
	Help string
	Type string
	// Ts is in milliseconds: since the Unix epoch in a full blob, the difference to the sample's previous time in an
	// incremental one.
	Ts int64
	// Val is the value in a full blob, and the difference to the previous value in an incremental one.
	Val float64
}

// Response is the body of a reply.
type Response struct {
	// Version repeats the request's.
	Version int8
	// MinPollSecs is the least number of seconds between two scrapes of the targets in the request; 0 asks for nothing.
	MinPollSecs int8
	// Err tells why the request as a whole was refused; the collector then drops all its blobs. "" if it was processed.
	Err string
	// NInsts is the number of elements of IErrCodes and of the request's IData.
	NInsts    int32
	IErrCodes []int8
}

// NewResponse returns the reply to a processed request whose instances have the codes.
func NewResponse(minPoll time.Duration, codes []int8) *Response {
	return &Response{Version: Version, MinPollSecs: PollSeconds(minPoll), NInsts: int32(len(codes)), IErrCodes: codes}
}

// ErrorResponse returns the reply to a request that is refused as a whole. The text must not be empty.
func ErrorResponse(text string) *Response { return &Response{Version: Version, Err: text} }

// Check tells a collector whether the reply answers a request of n instances. The error is ErrVersion or ErrMalformed.
// A reply with an Err has no codes and needs no check.
func (r *Response) Check(n int) error {
	if r.Version != Version {
		return fmt.Errorf("%w: reply has version %d, not %d", ErrVersion, r.Version, Version)
	}
	if int(r.NInsts) != n || len(r.IErrCodes) != n {
		return &Error{Kind: ErrMalformed, Field: "NInsts",
			Reason: fmt.Sprintf("reply says %d instances and has %d codes for a request of %d", r.NInsts, len(r.IErrCodes), n)}
	}
	return nil
}

// PollSeconds returns d in the whole seconds of Response.MinPollSecs: rounded up, at least 0, at most 127.
func PollSeconds(d time.Duration) int8 {
	const most = 127
	if d <= 0 {
		return 0
	}
	if d > most*time.Second {
		return most
	}
	return int8((d + time.Second - 1) / time.Second)
}
