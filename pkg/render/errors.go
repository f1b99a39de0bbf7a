package render

import "fmt"

// Reason says why a scrape can't be written.
type Reason string

// The reasons of the refusals of this package.
const (
	ReasonUndecodable Reason = "undecodable"     // the message is no scrape of a target
	ReasonNoSchema    Reason = "schema_missing"  // its schema is in no stream
	ReasonMismatch    Reason = "schema_mismatch" // it does not fit its schema
	ReasonPanic       Reason = "panic"           // it makes the renderer panic
)

// Refusal is the error of one scrape that can't be written, now or later. It concerns no other scrape.
type Refusal struct {
	Reason Reason
	Err    error
}

func refuse(r Reason, err error) error { return &Refusal{Reason: r, Err: err} }

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// LogError marks an error of the log.
type LogError struct{ Err error }

// Error implements error.
func (e *LogError) Error() string { return e.Err.Error() }

// Unwrap returns the log's own error.
func (e *LogError) Unwrap() error { return e.Err }
