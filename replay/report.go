package replay

import (
	"maps"

	"github.com/zstats/zstats/pkg/scrape"
)

// Report says what a replay has done, since its beginning, whether it was interrupted or not.
type Report struct {
	// Finished tells that all was done before this process began.
	Finished bool `json:"finished_before"`
	// Messages that were read and belong to the selection.
	Messages int64 `json:"messages"`
	// Scrapes in the selection, however they fared; Samples those in them that are written.
	Scrapes int64 `json:"scrapes"`
	Samples int64 `json:"samples"`
	// Written scrapes; among them Replaced ones took the place of others. Same ones were there already, to the last byte.
	Written  int64 `json:"written"`
	Replaced int64 `json:"replaced"`
	Same     int64 `json:"same"`
	// Conflicts are scrapes whose place something else had.
	Conflicts int64 `json:"conflicts"`
	// Duplicates are blobs that were accepted before.
	Duplicates int64 `json:"duplicates"`
	// Refused counts, by reason, what the live run sends to DEAD: blobs, messages and scrapes.
	Refused map[string]int64 `json:"refused"`
	// Gone are targets of which nothing is left that their first scrapes could be rebuilt from: at most MaxGone of GoneTargets.
	Gone        []scrape.Target `json:"gone,omitempty"`
	GoneTargets int64           `json:"gone_targets"`
	// Trimmed tells that messages were removed from the log before they were read.
	Trimmed bool `json:"trimmed"`
	// Differences that were found, by kind. Uncovered are scrapes on disk that the log does not reach back to.
	Differences map[Kind]int64 `json:"differences,omitempty"`
	Uncovered   int64          `json:"uncovered"`
}

// MaxGone is how many targets Report.Gone names.
const MaxGone = 100

func (r *Report) add(o *Report) {
	r.Messages += o.Messages
	r.Scrapes += o.Scrapes
	r.Samples += o.Samples
	r.Written += o.Written
	r.Replaced += o.Replaced
	r.Same += o.Same
	r.Conflicts += o.Conflicts
	r.Duplicates += o.Duplicates
	for reason, n := range o.Refused {
		r.refuse(reason, n)
	}
	r.GoneTargets += o.GoneTargets
	r.Gone = append(r.Gone, o.Gone...)
	r.Gone = r.Gone[:min(len(r.Gone), MaxGone)]
	r.Trimmed = r.Trimmed || o.Trimmed
	for kind, n := range o.Differences {
		r.differ(kind, n)
	}
	r.Uncovered += o.Uncovered
}

func (r *Report) refuse(reason string, n int64) {
	if r.Refused == nil {
		r.Refused = make(map[string]int64)
	}
	r.Refused[reason] += n
}

func (r *Report) differ(kind Kind, n int64) {
	if r.Differences == nil {
		r.Differences = make(map[Kind]int64)
	}
	r.Differences[kind] += n
}

func (r *Report) clone() Report {
	c := *r
	c.Refused, c.Differences = maps.Clone(r.Refused), maps.Clone(r.Differences)
	return c
}

// DifferenceCount returns the number of all differences.
func (r *Report) DifferenceCount() (n int64) {
	for _, count := range r.Differences {
		n += count
	}
	return n
}

// Kind is the kind of a difference between a replay and a directory of files.
type Kind string

// The kinds.
const (
	Missing  Kind = "missing"  // the scrape is not there
	Extra    Kind = "extra"    // a scrape is there that the log does not give
	Text     Kind = "text"     // the decompressed text is another
	Metadata Kind = "metadata" // the parsed json is another
	Damaged  Kind = "damaged"  // a file can't be read
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Missing, Extra, Text, Metadata, Damaged} }

// Difference is one difference between a replay and a directory of files.
type Difference struct {
	Kind   Kind
	Target scrape.Target
	Epoch  int64
	// Path of the scrape's directory, relative to the directory of files.
	Path   string
	Detail string
}

// Progress says how far a replay has come.
type Progress struct {
	// Done and Total are messages of the stream, those of other targets among them.
	Done, Total uint64
	// Scrapes that were handled since this process began, and Messages that were when it began.
	Scrapes int64
	Resumed uint64
}
