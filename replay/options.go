package replay

import (
	"errors"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/glob"
)

// Source is the stream that a replay reads.
type Source string

// The sources.
const (
	FromRaw     Source = "raw"     // what collectors sent: fold and render
	FromScrapes Source = "scrapes" // what the assembler made of it: render
)

func (s Source) stream() string {
	if s == FromRaw {
		return event.Raw
	}
	return event.Scrapes
}

// Options configure a Replay. Bus, Source and either To or Verify are required.
type Options struct {
	// Bus holds the streams of the log. They are only read.
	Bus    *bus.Bus
	Source Source
	// Since and Until bound the epochs of the scrapes, both inclusive; zero is no bound.
	Since, Until time.Time
	// Account is the only account to replay, all if it is empty. Target is a pattern (package glob) for the names of targets.
	Account string
	Target  string

	// To is the directory that the files go to. It must be empty, or hold the checkpoint of the same replay.
	To string
	// Overwrite allows To to hold files, and replaces those that differ.
	Overwrite bool
	// Verify is a directory of files that is compared with the replay instead.
	Verify string
	// Found is told of each difference that Verify finds, in the order of the log; missing and extra scrapes come at the end. It
	// is called by one goroutine at a time.
	Found func(Difference)

	// Parallel is how many chains are worked on at once; 0 is GOMAXPROCS.
	Parallel int
	// CacheBytes bounds the memory that prepared schemas take; 0 is 256 MiB.
	CacheBytes int64
	// StateBytes bounds the states that are kept in memory, for RAW; 0 is 1 GiB. Others wait in a temporary file.
	StateBytes int64
	// GroupMessages and GroupBytes bound what is read and made durable together; 0 is 1,024 messages and 16 MiB.
	GroupMessages int
	GroupBytes    int
	// Reserve is the free space, in bytes, below which nothing is written; 0 is 64 MiB.
	Reserve int64
	// CheckpointEvery is how long, at least, a checkpoint comes after the last one; 0 is 2 s.
	CheckpointEvery time.Duration
	Logger          *zap.Logger

	skew time.Duration // see findSpan; tests set it to less than 10 min
}

func (o *Options) setDefaults() {
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.StateBytes == 0 {
		o.StateBytes = 1 << 30
	}
	if o.GroupMessages == 0 {
		o.GroupMessages = 1024
	}
	if o.GroupBytes == 0 {
		o.GroupBytes = 16 << 20
	}
	if o.Reserve == 0 {
		o.Reserve = 64 << 20
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = 2 * time.Second
	}
	if o.skew == 0 {
		o.skew = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Found == nil {
		o.Found = func(Difference) {}
	}
}

func (o *Options) validate() error {
	switch {
	case o.Bus == nil:
		return errors.New("replay: Bus is required")
	case o.Source != FromRaw && o.Source != FromScrapes:
		return errors.New("replay: Source must be raw or scrapes")
	case (o.To == "") == (o.Verify == ""):
		return errors.New("replay: either To or Verify is required")
	case o.Overwrite && o.To == "":
		return errors.New("replay: Overwrite is about To")
	case !o.Since.IsZero() && !o.Until.IsZero() && o.Since.After(o.Until):
		return errors.New("replay: Since is after Until")
	case o.Parallel < 0 || o.CacheBytes < 0 || o.StateBytes < 0 || o.GroupMessages < 0 || o.GroupBytes < 0 || o.Reserve < 0:
		return errors.New("replay: Parallel, CacheBytes, StateBytes, GroupMessages, GroupBytes and Reserve must not be negative")
	}
	_, err := glob.Parse(o.Target)
	return err
}
