package fold

import (
	"fmt"
	"runtime/debug"
)

// Reasons of Poison.
const (
	ReasonMisplaced   = "misplaced"   // it names no target, or one whose subject is another
	ReasonUndecodable = "undecodable" // it can't be decoded
	ReasonPanic       = "panic"       // it makes the fold panic
	ReasonIncomplete  = "incomplete"  // the log has lost some of its data
)

// Poison is the error of a message that can't be folded as a whole, now or later. It concerns no other message.
type Poison struct {
	Reason string
	Err    error
}

// Error implements error.
func (p *Poison) Error() string { return p.Reason + ": " + p.Err.Error() }

// Unwrap returns the cause.
func (p *Poison) Unwrap() error { return p.Err }

// Guard turns a panic of f into an error: whatever a message holds, it must not hold up the others.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
