package checker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/zstats/zstats/pkg/scrape"
)

// line is one line of a ledger. One of its fields is set.
type line struct {
	Ledger int         `json:"ledger,omitempty"`
	Opened int64       `json:"opened_ms,omitempty"`
	Sent   *sentLine   `json:"sent,omitempty"`
	Answer *answerLine `json:"answer,omitempty"`
}

type name struct {
	Account string `json:"account,omitempty"`
	Source  string `json:"source,omitempty"`
	Target  string `json:"target"`
}

func nameOf(t scrape.Target) name { return name{t.Account, t.Source, t.Name} }

// target returns the name with what the ledger doesn't say taken from grant.
func (n name) target(grant scrape.Target) scrape.Target {
	if n.Account == "" {
		n.Account, n.Source = grant.Account, grant.Source
	}
	return scrape.Target{Account: n.Account, Source: n.Source, Name: n.Target}
}

type sentLine struct {
	name
	Generation int64  `json:"generation"`
	Time       int64  `json:"time_ms,omitempty"`
	Digest     Digest `json:"digest,omitzero"`
	Shape      Digest `json:"shape,omitzero"`
	Exact      bool   `json:"exact,omitempty"`
	Values     []byte `json:"values,omitempty"`
}

type answerLine struct {
	name
	Generation int64 `json:"generation"`
	Code       int8  `json:"code"`
}

func packValues(values []float64) []byte {
	packed := make([]byte, 0, 8*len(values))
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(v))
	}
	return packed
}

func unpackValues(packed []byte) ([]float64, error) {
	if len(packed)%8 != 0 {
		return nil, fmt.Errorf("values take %d bytes, which is no multiple of 8", len(packed))
	}
	var values []float64
	for ; len(packed) > 0; packed = packed[8:] {
		values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(packed)))
	}
	return values, nil
}

// Noted is what a ledger says.
type Noted struct {
	Sent []Sent
	// Since is when it was first opened, milliseconds since the Unix epoch.
	Since int64
	// Torn is the number of lines that a crash has left unfinished.
	Torn int
}

// ReadLedger reads a ledger. Where it names no account, grant says which account and source its sender's token stands for. The
// number tells the ledger from others, see Sent.
func ReadLedger(r io.Reader, grant scrape.Target, number int) (*Noted, error) {
	in := reading{book: NewBook(), grant: grant, ledger: number}
	lines := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(text) > 0 {
				in.noted.Torn++
			}
			break
		}
		if err == nil {
			err = in.take(text)
		}
		if err != nil {
			return nil, fmt.Errorf("ledger, line %d: %w", n, err)
		}
	}
	if !in.begun {
		return nil, errors.New("ledger: it is empty: is it the file that a collector was given with --ledger?")
	}
	in.noted.Sent = in.book.All()
	return &in.noted, nil
}

// reading is a ledger that is being read.
type reading struct {
	book   *Book
	grant  scrape.Target
	ledger int
	begun  bool
	torn   bool // the line before is no JSON; only an opening may follow
	noted  Noted
}

func (in *reading) take(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		if in.torn || !in.begun {
			return err
		}
		in.torn = true
		in.noted.Torn++
		return nil
	}
	if l.Ledger != 0 {
		return in.open(l)
	}
	if !in.begun || in.torn {
		return errors.New("what stands before it is no ledger, or damaged")
	}
	if l.Answer != nil {
		in.book.Answered(l.Answer.target(in.grant), l.Answer.Generation, l.Answer.Code)
	}
	if l.Sent == nil {
		return nil
	}
	values, err := unpackValues(l.Sent.Values)
	if err != nil {
		return err
	}
	in.book.Sent(Sent{
		Target: l.Sent.target(in.grant), Generation: l.Sent.Generation, Time: l.Sent.Time, Digest: l.Sent.Digest, Shape: l.Sent.Shape,
		Exact: l.Sent.Exact, Values: values, Ledger: in.ledger,
	})
	return nil
}

func (in *reading) open(l line) error {
	if l.Ledger != LedgerVersion {
		return fmt.Errorf("it has version %d of the format, only %d is understood", l.Ledger, LedgerVersion)
	}
	if !in.begun {
		in.begun, in.noted.Since = true, l.Opened
	}
	in.torn = false
	return nil
}
