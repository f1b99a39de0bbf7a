package event

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/zstats/zstats/pkg/scrape"
)

// The headers of messages about a target.
const (
	HeaderAccount  = "Zs-Account"
	HeaderSource   = "Zs-Source"
	HeaderTarget   = "Zs-Target"
	HeaderReceived = "Zs-Received" // RAW: when the request arrived, microseconds since the Unix epoch
	HeaderRun      = "Zs-Run"      // RAW: "<first>,<last>", the run of generations that the message ends
	HeaderSamples  = "Zs-Samples"  // RAW: samples of the message's last blob
	HeaderFull     = "Zs-Full"     // RAW: sequence of the last message with a full blob of the target, 0 for this one
)

// The headers that tell which message a dead letter comes from, by its sequence in RAW (the assembler's letters) or SCRAPES (the
// writer's). Letters on one subject with the same of them are copies of each other; one message gives at most one letter.
const (
	HeaderRawSequence     = "Zs-Raw-Sequence"
	HeaderScrapesSequence = "Zs-Scrapes-Sequence"
)

// Header holds a message's headers.
type Header map[string]string

// TargetHeader returns a header that names t, with room for more.
func TargetHeader(t scrape.Target) Header {
	h := make(Header, 8)
	h[HeaderAccount] = t.Account
	h[HeaderTarget] = headerText(t.Name)
	if t.Source != "" {
		h[HeaderSource] = t.Source
	}
	return h
}

// headerText returns s as a header can carry it: spaces at either end don't survive the way through NATS, so a text that has
// them is percent-encoded, and so is one with a percent sign.
func headerText(s string) string {
	if strings.TrimSpace(s) == s && !strings.Contains(s, "%") {
		return s
	}
	return url.PathEscape(s)
}

// Target returns the target that h names.
func (h Header) Target() (scrape.Target, error) {
	name, err := url.PathUnescape(h[HeaderTarget])
	if err != nil {
		return scrape.Target{}, fmt.Errorf("header %s: %w", HeaderTarget, err)
	}
	t := scrape.Target{Account: h[HeaderAccount], Source: h[HeaderSource], Name: name}
	if t.Account == "" || t.Name == "" {
		return t, fmt.Errorf("message names no target: header %s or %s is missing", HeaderAccount, HeaderTarget)
	}
	return t, nil
}

// Head is what a message of RAW says of its target after it: all that ingest needs to judge the next blob.
type Head struct {
	// Received is when the message arrived, microseconds since the Unix epoch.
	Received int64
	// Run is the run of generations that ends with the message's last blob.
	Run scrape.Run
	// Samples is the number of samples of the last blob's scrape.
	Samples int
	// FullSequence is the sequence of the last message with a full blob, 0 for the message itself.
	FullSequence uint64
}

// Set writes the head into a message's header.
func (d Head) Set(h Header) {
	h[HeaderReceived] = strconv.FormatInt(d.Received, 10)
	h[HeaderRun] = strconv.FormatInt(d.Run.First, 10) + "," + strconv.FormatInt(d.Run.Last, 10)
	h[HeaderSamples] = strconv.Itoa(d.Samples)
	h[HeaderFull] = strconv.FormatUint(d.FullSequence, 10)
}

// ReadHead reads the head of the message with the given sequence; a FullSequence of 0 becomes that sequence.
func ReadHead(h Header, sequence uint64) (d Head, err error) {
	if d.Received, err = strconv.ParseInt(h[HeaderReceived], 10, 64); err != nil {
		return d, fmt.Errorf("header %s: %w", HeaderReceived, err)
	}
	first, last, _ := strings.Cut(h[HeaderRun], ",")
	if d.Run.First, err = strconv.ParseInt(first, 10, 64); err != nil {
		return d, fmt.Errorf("header %s: %w", HeaderRun, err)
	}
	if d.Run.Last, err = strconv.ParseInt(last, 10, 64); err != nil {
		return d, fmt.Errorf("header %s: %w", HeaderRun, err)
	}
	if d.Samples, err = strconv.Atoi(h[HeaderSamples]); err != nil {
		return d, fmt.Errorf("header %s: %w", HeaderSamples, err)
	}
	if d.FullSequence, err = strconv.ParseUint(h[HeaderFull], 10, 64); err != nil {
		return d, fmt.Errorf("header %s: %w", HeaderFull, err)
	}
	if d.FullSequence == 0 {
		d.FullSequence = sequence
	}
	return d, nil
}

// ResyncBucket is the key-value bucket of resync marks: by TargetKey the RAW sequence, in decimal, that a target's last full
// blob must exceed before ingest takes incremental blobs of it again.
const ResyncBucket = "ZS_RESYNC"

// GapBucket is the key-value bucket of what was removed from EVENTS before a named position had acknowledged it: by the name of the
// position's consumer an eventpb.Gap, empty once it is acknowledged.
const GapBucket = "ZS_GAPS"
