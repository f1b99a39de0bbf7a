package deadletter

import (
	"io"

	"github.com/zstats/zstats/pkg/table"
)

// jsonLetter has the names of the protocol where it has some.
type jsonLetter struct {
	Sequence        uint64   `json:"sequence"`
	Copies          []uint64 `json:"copies,omitempty"`
	ReceivedUs      int64    `json:"received_us,omitempty"`
	Account         string   `json:"account"`
	Source          string   `json:"source,omitempty"`
	Target          string   `json:"target"`
	Stage           string   `json:"stage"`
	Reason          string   `json:"reason"`
	Detail          string   `json:"detail"`
	RawSequence     uint64   `json:"raw_sequence,omitempty"`
	ScrapesSequence uint64   `json:"scrapes_sequence,omitempty"`
	Blobs           int      `json:"blobs"`
	Bytes           int      `json:"bytes"`
	Requeued        bool     `json:"requeued"`
}

type jsonContent struct {
	jsonLetter
	Content     []jsonBlob `json:"content"`
	EpochUs     int64      `json:"epoch_us,omitempty"`
	Schema      string     `json:"schema,omitempty"`
	Undecodable string     `json:"undecodable,omitempty"`
}

// jsonBlob is a blob of a letter, or its scrape.
type jsonBlob struct {
	Generation int64 `json:"generation"`
	TimeMs     int64 `json:"time_ms"`
	Samples    int   `json:"samples"`
	Full       bool  `json:"full"`
	Changed    *int  `json:"changed,omitempty"` // of an incremental blob
}

type jsonResult struct {
	Sequence uint64   `json:"sequence"`
	Account  string   `json:"account"`
	Source   string   `json:"source,omitempty"`
	Target   string   `json:"target"`
	DryRun   bool     `json:"dry_run"`
	Outcome  Outcome  `json:"outcome"`
	Scrapes  int      `json:"scrapes"`
	Earlier  int      `json:"earlier"`
	Accepted int      `json:"accepted"`
	Faults   []string `json:"faults"`
}

// WriteJSONList writes one object a line for each letter, its detail whole.
func WriteJSONList(w io.Writer, letters []*Letter) error {
	for _, l := range letters {
		if err := table.JSON(w, jsonOf(l)); err != nil {
			return err
		}
	}
	return nil
}

func jsonOf(l *Letter) jsonLetter {
	return jsonLetter{
		Sequence: l.Sequence, Copies: l.Copies, ReceivedUs: l.Received, Account: l.Target.Account, Source: l.Target.Source,
		Target: l.Target.Name, Stage: l.Stage, Reason: l.Reason, Detail: l.Detail, RawSequence: l.RawSequence,
		ScrapesSequence: l.ScrapesSequence, Blobs: l.Blobs, Bytes: l.Bytes, Requeued: l.Requeued,
	}
}

// WriteJSONContent writes a letter as one object on one line.
func WriteJSONContent(w io.Writer, c *Content) error {
	out := jsonContent{jsonLetter: jsonOf(c.Letter), Content: []jsonBlob{}}
	for _, b := range c.Blobs {
		blob := jsonBlob{Generation: b.Generation, TimeMs: b.Time, Samples: b.Samples, Full: b.Full()}
		if n := len(b.Index); !b.Full() {
			blob.Changed = &n
		}
		out.Content = append(out.Content, blob)
	}
	if st := c.State; st != nil {
		out.Content = append(out.Content, jsonBlob{Generation: st.Generation, TimeMs: st.Time, Samples: len(st.Values), Full: st.Full})
		out.EpochUs, out.Schema = st.Epoch, st.Schema.String()
	}
	if c.Fault != nil {
		out.Undecodable = firstLine(c.Fault.Error())
	}
	return table.JSON(w, out)
}

// WriteJSONResult writes what became of a letter, or would, as one object on one line.
func WriteJSONResult(w io.Writer, r *Result, dry bool) error {
	faults := r.Faults
	if faults == nil {
		faults = []string{}
	}
	return table.JSON(w, jsonResult{
		Sequence: r.Sequence, Account: r.Target.Account, Source: r.Target.Source, Target: r.Target.Name, DryRun: dry,
		Outcome: r.Outcome(), Scrapes: r.Scrapes, Earlier: r.Earlier, Accepted: r.Accepted, Faults: faults,
	})
}
