package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// Prefix begins the names of all environment variables.
const Prefix = "ZSTATS_"

// FileFlag is the flag that names the file. It can't stand in the file itself.
const FileFlag = "config"

// Sources says where settings come from beside the command line.
type Sources struct {
	// Getenv looks up an environment variable; nil is os.LookupEnv.
	Getenv func(name string) (value string, ok bool)
	// Known tells whether another program that shares the file has a setting of this name; nil is none.
	Known func(name string) bool
}

// SecretAnnotation is the annotation of flags whose values must not be shown.
const SecretAnnotation = "zstats-secret"

// Setting is the value of one flag and where it comes from.
type Setting struct {
	Name string
	// Value as the flag shows it.
	Value string
	// Source is "default", "flag", the name of an environment variable, or "file:line".
	Source string
	// Secret values must not be shown.
	Secret bool
}

// Settings are all settings of a program, and what there is to say of an older file.
type Settings struct {
	All   []Setting // sorted by name
	Notes []Note
}

// Resolve completes flags, which have been parsed from the command line, from the environment, from the file that the flag
// FileFlag or its variable names, and from an older server's file, in this order. Errors name the place of what is wrong.
func Resolve(flags *pflag.FlagSet, s Sources) (*Settings, error) {
	if s.Getenv == nil {
		s.Getenv = os.LookupEnv
	}
	r := &resolver{flags: flags, sources: s, from: make(map[string]string)}
	flags.Visit(func(f *pflag.Flag) { r.from[f.Name] = "flag" })
	if err := r.environment(); err != nil {
		return nil, err
	}
	if f := flags.Lookup(FileFlag); f != nil && f.Value.String() != "" {
		if err := r.file(f.Value.String()); err != nil {
			return nil, err
		}
	}
	if err := r.legacy(); err != nil {
		return nil, err
	}
	return &Settings{All: r.settings(), Notes: r.notes}, nil
}

// Variable returns the environment variable of a setting.
func Variable(name string) string {
	return Prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

type resolver struct {
	flags   *pflag.FlagSet
	sources Sources
	from    map[string]string // where the settings come from that are no longer at their defaults
	notes   []Note
}

func (r *resolver) environment() (err error) {
	r.flags.VisitAll(func(f *pflag.Flag) {
		variable := Variable(f.Name)
		value, ok := r.sources.Getenv(variable)
		if !ok || err != nil || f.Name == "help" || r.from[f.Name] != "" {
			return
		}
		values := []string{value}
		if _, list := f.Value.(pflag.SliceValue); list {
			values = strings.Fields(value)
		}
		err = r.set(f, values, variable)
	})
	return err
}

// file takes what a file says of settings that nothing else has set.
func (r *resolver) file(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	entries, err := parse(data)
	if err != nil {
		return fmt.Errorf("%s:%w", name, err)
	}
	return r.take(name, entries)
}

// take sets what nothing before has set.
func (r *resolver) take(name string, entries []entry) error {
	for _, e := range entries {
		place := fmt.Sprintf("%s:%d", name, e.line)
		f := r.flags.Lookup(e.name)
		switch {
		case e.name == FileFlag || e.name == LegacyFlag || e.name == "help":
			return fmt.Errorf("%s: %s can't be set in a file", place, e.name)
		case f == nil && r.sources.Known != nil && r.sources.Known(e.name):
			continue
		case f == nil:
			return fmt.Errorf("%s: there is no setting %q", place, e.name)
		case r.from[e.name] != "":
			continue
		}
		if err := r.set(f, e.values, place); err != nil {
			return err
		}
	}
	return nil
}

// set gives a flag its values. Errors don't show them: they may be secrets.
func (r *resolver) set(f *pflag.Flag, values []string, place string) error {
	list, several := f.Value.(pflag.SliceValue)
	if !several && len(values) != 1 {
		return fmt.Errorf("%s: %s takes one value", place, f.Name)
	}
	var err error
	if several {
		err = list.Replace(values)
	} else {
		err = f.Value.Set(values[0])
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", place, f.Name, err)
	}
	f.Changed = true
	r.from[f.Name] = place
	return nil
}

func (r *resolver) settings() []Setting {
	var all []Setting
	r.flags.VisitAll(func(f *pflag.Flag) { // sorted by name
		if f.Name == "help" {
			return
		}
		s := Setting{Name: f.Name, Value: f.Value.String(), Source: r.from[f.Name], Secret: f.Annotations[SecretAnnotation] != nil}
		if s.Source == "" {
			s.Source = "default"
		}
		all = append(all, s)
	})
	return all
}
