package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/writer/retention"
)

// retentionSettings say which files are removed.
type retentionSettings struct {
	age             time.Duration
	bytes           size
	accounts        []string
	grace           time.Duration
	interval        time.Duration
	ignorePositions bool
}

func retentionFlags(s *settings, f *pflag.FlagSet) {
	r := &s.retention
	f.DurationVar(&r.age, "retention.age", 0, "remove files of scrapes that are older, but the newest of each target; 0 keeps all")
	f.Var(&r.bytes, "retention.bytes", "remove an account's oldest files when all of them take more on disk, as 500GiB; 0 keeps all")
	f.StringArrayVar(&r.accounts, "retention.account", nil, "other limits for an account, NAME:age=720h,bytes=10GiB or one of them, repeatable")
	f.DurationVar(&r.grace, "retention.grace", 10*time.Minute, "how long files stay after they were written, whatever the limits")
	f.DurationVar(&r.interval, "retention.interval", time.Minute, "least time between two looks for old files")
	f.BoolVar(&r.ignorePositions, "retention.ignore-positions", false, "remove also what a named position of a consumer has not acknowledged")
}

// options returns what is to be removed.
func (r *retentionSettings) options() (retention.Options, error) {
	o := retention.Options{
		Limits: retention.Limits{Age: r.age, Bytes: int64(r.bytes)}, Accounts: make(map[string]retention.Limits),
		Grace: r.grace, Interval: r.interval,
	}
	if r.age < 0 || r.grace < 0 {
		return o, fmt.Errorf("retention.age is %s and retention.grace is %s: neither may be negative", r.age, r.grace)
	}
	if r.interval <= 0 {
		return o, fmt.Errorf("retention.interval is %s: it must be positive", r.interval)
	}
	for _, text := range r.accounts {
		name, limits, err := parseAccountLimits(text, o.Limits)
		if err != nil {
			return o, fmt.Errorf("retention.account %q: %w", text, err)
		}
		if _, twice := o.Accounts[name]; twice {
			return o, fmt.Errorf("retention.account %q: account %s has limits already", text, name)
		}
		o.Accounts[name] = limits
	}
	return o, nil
}

// parseAccountLimits reads NAME:age=AGE,bytes=BYTES. What it doesn't say is as for all accounts.
func parseAccountLimits(text string, l retention.Limits) (name string, _ retention.Limits, err error) {
	const form = "want NAME:age=720h,bytes=10GiB, or one of them"
	name, rest, ok := strings.Cut(text, ":")
	if !ok || name == "" || rest == "" {
		return "", l, fmt.Errorf("%s", form)
	}
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		if seen[key] {
			return "", l, fmt.Errorf("it says %s twice", key)
		}
		seen[key] = true
		switch key {
		case "age":
			l.Age, err = time.ParseDuration(value)
			if err == nil && l.Age < 0 {
				err = fmt.Errorf("age %s is negative", value)
			}
		case "bytes":
			var s size
			err = s.Set(value)
			l.Bytes = int64(s)
		default:
			err = fmt.Errorf("%q is no limit: %s", part, form)
		}
		if err != nil {
			return "", l, err
		}
	}
	return name, l, nil
}

func (s *settings) validateRetention() error {
	_, err := s.retention.options()
	return err
}

// newRetention returns what removes old files; nothing if all are kept.
func (p *process) newRetention() ([]actor, error) {
	o, err := p.settings.retention.options()
	if err != nil {
		return nil, err
	}
	if o.Off() {
		return nil, nil
	}
	o.Dir, o.Logger, o.Registerer = p.settings.files(), p.log, p.registry
	if !p.settings.retention.ignorePositions {
		o.Positions = retention.PositionsOf(p.bus, event.DefaultPartitions)
	}
	r, err := retention.New(o)
	if err != nil {
		return nil, err
	}
	return []actor{{"retention", r.Run}}, nil
}
