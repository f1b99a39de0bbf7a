package ingest

import (
	"errors"
	"net/http"
)

// outcome is what became of a request. It is a label of the metrics and decides the answer.
type outcome string

const (
	outcomeProcessed outcome = "processed" // every blob has its code
	outcomeProbe     outcome = "probe"     // a GET while requests are taken

	// Outcomes with which the collector drops what it sent, so they are for what will never be accepted.
	outcomeRefused      outcome = "refused"       // the request is not of this wire or exceeds a limit
	outcomeNoToken      outcome = "no_token"      // no token was sent
	outcomeUnknownToken outcome = "unknown_token" // the token stands for no account
	outcomeMethod       outcome = "method"        // neither GET nor POST
	outcomePath         outcome = "path"          // another path

	// Outcomes with which the collector keeps what it sent and comes again.
	outcomeNotReady    outcome = "not_ready"   // the log takes nothing now, or ingest is starting or stopping
	outcomeOverloaded  outcome = "overloaded"  // a limit on what is worked on at once was reached
	outcomeInterrupted outcome = "interrupted" // the body did not arrive in full, or the collector left
	outcomeLog         outcome = "log"         // the log could not be read or written, or it is not known whether it was
	outcomeInternal    outcome = "internal"    // a defect of ingest; also what a panic ends with
)

// outcomes returns all outcomes, for metrics that want their labels up front.
func outcomes() []outcome {
	return []outcome{
		outcomeProcessed, outcomeProbe,
		outcomeRefused, outcomeNoToken, outcomeUnknownToken, outcomeMethod, outcomePath,
		outcomeNotReady, outcomeOverloaded, outcomeInterrupted, outcomeLog, outcomeInternal,
	}
}

// status returns the HTTP status of the answer. Collectors buffer after 500, 503 and 504 and after a lost connection, and
// drop after every other one that is not 200: 413, 429 and 502 lose data like 400 does. What the application refuses is
// told in a reply with status 200, whose text the collector logs; see kept and told.
//
// A missing token breaks the wire contract and is told like any other breach. An unknown one gets 401: the account may have
// been closed or the token be somebody's guess, and neither is a reason for a collector to keep its data and send all of it
// again every minute. Whoever changes tokens must hand the new one to ingest before the collectors use it.
func (o outcome) status() int {
	switch o {
	case outcomeProcessed, outcomeProbe, outcomeRefused, outcomeNoToken:
		return http.StatusOK
	case outcomeUnknownToken:
		return http.StatusUnauthorized
	case outcomeMethod:
		return http.StatusMethodNotAllowed
	case outcomePath:
		return http.StatusNotFound
	case outcomeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusServiceUnavailable
	}
}

// kept reports whether the collector keeps what it sent.
func (o outcome) kept() bool { return o.status() >= http.StatusInternalServerError }

// told reports whether the collector is told by a reply of the wire that its request is refused.
func (o outcome) told() bool { return o == outcomeRefused || o == outcomeNoToken }

// failure is an error that knows its outcome.
type failure struct {
	outcome outcome
	err     error
}

func fail(o outcome, err error) error { return &failure{o, err} }

// Error implements error.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// outcomeOf returns the outcome of a request that ended with err. An error that doesn't know its own is nothing that the
// collector should pay for.
func outcomeOf(err error) outcome {
	if err == nil {
		return outcomeProcessed
	}
	if f := new(failure); errors.As(err, &f) {
		return f.outcome
	}
	return outcomeInternal
}
