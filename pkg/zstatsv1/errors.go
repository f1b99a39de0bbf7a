package zstatsv1

import (
	"errors"
	"strconv"
)

// Kinds of errors. Errors of this package wrap one of them and say what is wrong and where.
var (
	// ErrMalformed: the bytes are no gob value of the wanted shape, or a request contradicts itself.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: a limit was exceeded; the message names it.
	ErrTooLarge = errors.New("too large")
	// ErrVersion: the peer speaks another version.
	ErrVersion = errors.New("unsupported version")

	// ErrNotGzip: the body does not begin with a gzip header.
	ErrNotGzip = errors.New("not gzip")
	// ErrTruncated: the compressed body ends early.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt: the compressed body is damaged.
	ErrCorrupt = errors.New("corrupt gzip")

	// ErrResend: an incremental blob cannot be applied; the full one would help. Answer CodeSendFull.
	ErrResend = errors.New("incremental blob refused")
	// ErrNotFinite: an incremental blob holds a difference that is NaN or infinite. Such an error is an ErrResend too.
	ErrNotFinite = errors.New("difference is not finite")
	// ErrRefused: the blob can never be accepted, however often it is sent. Answer CodeFailed.
	ErrRefused = errors.New("blob refused")
)

// Error says where in a request or reply decoding failed.
type Error struct {
	// Kind is ErrMalformed or ErrTooLarge.
	Kind error
	// Field is the path of the field, for example "IData[3].Samples[17].Idx"; "" if none was reached.
	Field string
	// Reason says what is wrong. For ErrTooLarge it names the limit.
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Kind.Error() + ": " + e.Reason
	}
	return e.Kind.Error() + ": " + e.Field + ": " + e.Reason
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// within puts a step in front of the path.
func (e *Error) within(step string) {
	switch {
	case e.Field == "":
		e.Field = step
	case e.Field[0] == '[':
		e.Field = step + e.Field
	default:
		e.Field = step + "." + e.Field
	}
}

// withinElement puts the position in a slice in front of the path.
func (e *Error) withinElement(i int) { e.within("[" + strconv.Itoa(i) + "]") }

// Reasons of errors. Those of the second group meet input that encoding/gob accepts, see the package's documentation.
const (
	reasonEnd   = "the message ends too early"
	reasonCount = "elements or bytes announced"

	reasonOpen        = "the message ends inside a struct"
	reasonHuge        = "a count beyond 2^63"
	reasonNumber      = "a type's number beyond 2^31"
	reasonUndefined   = "undefined type"
	reasonUndescribed = "a type without a description"
	reasonTwoKinds    = "a type with two descriptions"
	reasonNoName      = "a field without a name"
	reasonTwice       = "is defined twice"
	reasonInterface   = "interface values are not understood"
)
