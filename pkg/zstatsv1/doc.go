// Package zstatsv1 is the wire of the first zstats collectors: what a request and a reply look like in bytes, and how a
// blob on the wire becomes a blob of package scrape.
//
// The model. A Request carries Instances; an Instance is one scrape of one target, full or incremental; its Samples
// carry positions, labels and values. A Response carries one code for each Instance, in the same order. Both travel as
// one gob value, the request compressed with gzip.
//
// In go the bytes of a body: Decompressor.Append unpacks them within a limit, Decoder.Decode reads the request within
// Limits, Request.Check compares what the request says of itself, and Instance.Blob turns each instance into a
// scrape.Blob or says why it cannot be one. Out come the bytes of a reply: AppendResponse. A collector goes the other
// way: InstanceOf, AppendRequest, Compressor.Append, DecodeResponse.
//
// Errors say what to do. ErrMalformed, ErrTooLarge, ErrVersion, ErrNotGzip, ErrTruncated and ErrCorrupt speak of a whole
// request. ErrResend and ErrRefused speak of one instance: the first means that the collector should send the full blob
// (CodeSendFull), the second that no repetition will help (CodeFailed).
//
// # The gob decoder
//
// encoding/gob is not made for input from strangers: its documentation says so, its limits are fixed at gigabytes, one
// byte of input can become a structure of a hundred bytes, and each stream compiles its own decoding engines. So this
// package reads the format itself, as the documentation of encoding/gob describes it. Type definitions come from the
// stream; fields are matched by name whatever their order and whatever the types are called or numbered; fields that
// are not known are skipped, whatever their type.
//
// It accepts what encoding/gob accepts, apart from what no encoder writes:
//   - a message that ends inside a struct, or that holds a count beyond 2^63;
//   - a type definition that describes no type or several, names no field, or refers to a type that is defined nowhere or
//     is one of gob's own descriptions of types;
//   - a struct that has a known field twice;
//   - an interface value in an unknown field (defining one is no error, sending one is);
//   - more than 128 types, more than 1,024 fields in all of them, unknown values nested deeper than 64.
//
// # Memory
//
// Limits bound counts before memory is taken for them. What a decoder takes for a request is at most
//
//	96 B × Blobs + 80 B × TotalSamples + 32 B × TotalLabels + the length of the input + 32 MB
//
// and of samples and labels never more than the length of the input explains: one for each four bytes, and a few. The slices of samples and labels are cut from larger pieces, of which up to half may stay unused. In a request as
// collectors write it that is about five times the length of an incremental blob and twice that of a full one. The
// strings of a decoded request are copies, so the input may be overwritten; equal strings mostly share their memory.
package zstatsv1
