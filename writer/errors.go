package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/zstats/zstats/pkg/volume"
)

// reason says why a scrape became a dead letter.
type reason string

const (
	reasonUndecodable reason = "undecodable"     // the message is no scrape of a target
	reasonNoSchema    reason = "schema_missing"  // its schema is in no stream
	reasonMismatch    reason = "schema_mismatch" // it does not fit its schema
	reasonConflict    reason = "place_taken"     // something else lies where its files belong
	reasonPanic       reason = "panic"           // it made the writer panic
)

func reasons() []reason {
	return []reason{reasonUndecodable, reasonNoSchema, reasonMismatch, reasonConflict, reasonPanic}
}

// refusal is the error of one scrape that can't be written, now or later. It concerns no other scrape.
type refusal struct {
	reason reason
	err    error
}

func refuse(r reason, err error) error { return &refusal{reason: r, err: err} }

func (r *refusal) Error() string { return fmt.Sprintf("%s: %v", r.reason, r.err) }
func (r *refusal) Unwrap() error { return r.err }

// logError marks an error of the log, in contrast to the disk's.
type logError struct{ err error }

func (e *logError) Error() string { return e.err.Error() }
func (e *logError) Unwrap() error { return e.err }

// The kinds of errors that fail a batch.
const (
	kindSpace    = "space"
	kindReadOnly = "read_only"
	kindDisk     = "disk"
	kindLog      = "log"
)

func kinds() []string { return []string{kindSpace, kindReadOnly, kindDisk, kindLog} }

func kindOf(err error) string {
	var fromLog *logError
	switch {
	case errors.As(err, &fromLog):
		return kindLog
	case errors.Is(err, volume.ErrReserve), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return kindSpace
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return kindReadOnly
	default:
		return kindDisk
	}
}
