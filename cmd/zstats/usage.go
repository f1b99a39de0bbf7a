package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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

// atMostOne makes a command refuse more than one of some flags, and a shell not offer another.
func atMostOne(cmd *cobra.Command, names ...string) {
	cmd.MarkFlagsMutuallyExclusive(names...)
	checkFirst(cmd, func() error {
		if set := given(cmd, names); len(set) > 1 {
			return usagef("%s exclude each other: give one of them", strings.Join(set, " and "))
		}
		return nil
	})
}

// atLeastOne makes a command ask for one of some flags. What it says of them tells what they are for.
func atLeastOne(cmd *cobra.Command, says string, names ...string) {
	cmd.MarkFlagsOneRequired(names...)
	checkFirst(cmd, func() error {
		if len(given(cmd, names)) == 0 {
			return usagef("%s", says)
		}
		return nil
	})
}

// given returns those of some flags that are set, as they are written.
func given(cmd *cobra.Command, names []string) (set []string) {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			set = append(set, "--"+name)
		}
	}
	return set
}

// checkFirst has a command make a check before the library makes its own of groups of flags, which speaks of them less plainly.
func checkFirst(cmd *cobra.Command, check func() error) {
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if before != nil {
			if err := before(cmd, args); err != nil {
				return err
			}
		}
		return check()
	}
}
