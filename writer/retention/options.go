package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/volume"
)

// Limits say what an account may keep.
type Limits struct {
	// Age of the oldest scrape, by its epoch; 0 is no limit.
	Age time.Duration
	// Bytes on disk of all scrapes; 0 is no limit.
	Bytes int64
}

// None reports whether nothing is limited.
func (l Limits) None() bool { return l.Age == 0 && l.Bytes == 0 }

// Acked says of a target's scrape, by its epoch in microseconds since the Unix epoch and the time when it was put on disk, whether
// all named positions that are to get its event have acknowledged it.
type Acked func(epoch int64, written time.Time) bool

// Positions looks at the named positions of consumers. What it returns may be asked about targets for one pass. Positions that
// move meanwhile only let more go.
type Positions func(ctx context.Context) (func(context.Context, scrape.Target) (Acked, error), error)

// ackedAll is what is said where nobody is waited for.
func ackedAll(int64, time.Time) bool { return true }

// Options configure a Retention.
type Options struct {
	// Dir is the directory of files.
	Dir string
	// Limits are those of accounts that Accounts doesn't name.
	Limits   Limits
	Accounts map[string]Limits
	// Grace is how long a scrape stays after it was put on disk, whatever the limits.
	Grace time.Duration
	// Interval is the least time between two passes; 0 is a minute. A pass that takes long is followed by a longer rest.
	Interval time.Duration
	// Positions holds back what consumers have not acknowledged; nil holds back nothing.
	Positions  Positions
	Logger     *zap.Logger
	Registerer prometheus.Registerer

	now    func() time.Time        // for tests
	hook   func(volume.Step) error // for tests
	shared bool                    // for tests: run without the lock
}

// Off reports whether there is nothing to do.
func (o *Options) Off() bool {
	if !o.Limits.None() {
		return false
	}
	for _, l := range o.Accounts {
		if !l.None() {
			return false
		}
	}
	return true
}

func (o *Options) of(account string) Limits {
	if l, ok := o.Accounts[account]; ok {
		return l
	}
	return o.Limits
}

func (o *Options) setDefaults() {
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.now == nil {
		o.now = time.Now
	}
}

func (o *Options) validate() error {
	if o.Dir == "" {
		return errors.New("retention: Dir is required")
	}
	if o.Grace < 0 || o.Interval < 0 {
		return errors.New("retention: Grace and Interval must not be negative")
	}
	for name, l := range o.Accounts {
		if l.Age < 0 || l.Bytes < 0 {
			return fmt.Errorf("retention: account %q: age and bytes must not be negative", name)
		}
	}
	if o.Limits.Age < 0 || o.Limits.Bytes < 0 {
		return errors.New("retention: age and bytes must not be negative")
	}
	return nil
}
