package deadletter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
)

// Letter is one dead letter, without its payload.
type Letter struct {
	// Sequence is the letter's in DEAD; of several copies that of the first. Copies has those of the others.
	Sequence uint64
	Copies   []uint64
	// Target is what the letter speaks of, as far as it is known.
	Target scrape.Target
	// Stage is who gave up: StageIngest, event.StageAssembler or event.StageWriter.
	Stage string
	// RawSequence is the sequence in RAW of the message that the letter comes from, ScrapesSequence, in a letter of the writer, that
	// in SCRAPES; 0 if there is none.
	RawSequence     uint64
	ScrapesSequence uint64
	// Received is when the message arrived, in microseconds since the Unix epoch; 0 if the letter doesn't say.
	Received int64
	// Reason is one word, Detail a text that may have many lines.
	Reason string
	Detail string
	// Blobs is how many blobs the letter holds, 0 if they can't be decoded or it holds a scrape. Bytes is the payload's size.
	Blobs int
	Bytes int
	// Requeued tells that it was folded again by a requeue that did not come to its end: repeating it removes the letter.
	Requeued bool

	subject string
	fault   error // why Target is not to be trusted
}

// StageIngest stands for ingest among the stages of letters.
const StageIngest = "ingest"

// reasonMisplaced is the assembler's for messages that belong to no target on their subject.
const reasonMisplaced = "misplaced"

// parse reads a message of DEAD. What can't be read at all becomes a letter that says so.
func parse(m bus.Message) (*Letter, *eventpb.DeadLetter) {
	l := &Letter{Sequence: m.Sequence, Bytes: len(m.Data), Stage: StageIngest, subject: m.Subject}
	l.Target, l.fault = m.Header.Target()
	l.ScrapesSequence = number(m.Header[event.HeaderScrapesSequence])
	switch {
	case l.ScrapesSequence > 0:
		l.Stage = event.StageWriter
	case m.Header[event.HeaderRawSequence] != "":
		l.Stage = event.StageAssembler
	}
	p := new(eventpb.DeadLetter)
	if err := event.Unmarshal(m.Data, p); err != nil {
		l.Reason, l.Detail, l.fault = "unreadable", err.Error(), err
		return l, p
	}
	l.RawSequence, l.Received, l.Reason, l.Detail, l.Bytes = p.RawSequence, p.ReceivedUs, p.Reason, p.Detail, len(p.Payload)
	if l.Stage == event.StageAssembler {
		l.Blobs = countBlobs(p.Payload)
	}
	if l.Reason == reasonMisplaced && l.fault == nil {
		l.fault = fmt.Errorf("it can't be told whose it is")
	}
	return l, p
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// countBlobs returns how many blobs a payload of RAW holds, 0 if it is none.
func countBlobs(payload []byte) int {
	m := new(eventpb.RawBlobs)
	if err := event.Unmarshal(payload, m); err != nil {
		return 0
	}
	return len(m.Blobs)
}

// name is a token that the copies of a letter share and no other letter of the target has.
func (l *Letter) name() string {
	switch {
	case l.Stage == event.StageWriter:
		return "s" + strconv.FormatUint(l.ScrapesSequence, 10)
	case l.Stage == event.StageAssembler:
		return "r" + strconv.FormatUint(l.RawSequence, 10)
	default:
		return "d" + strconv.FormatUint(l.Sequence, 10)
	}
}

// all returns the sequences in DEAD of the letter and its copies.
func (l *Letter) all() []uint64 { return append([]uint64{l.Sequence}, l.Copies...) }

// FirstLine returns the first line of the detail.
func (l *Letter) FirstLine() string {
	line, _, _ := strings.Cut(l.Detail, "\n")
	return line
}
