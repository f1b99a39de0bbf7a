package main

import (
	"errors"
	"fmt"
)

// usageError is an error about how a command was called. It makes the exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage turns an error into one about how the command was called; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// usagef returns a usageError.
func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

func isUsage(err error) bool {
	_, ok := errors.AsType[*usageError](err)
	return ok
}
