package collector

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/zstats/zstats/pkg/scrape"
)

// The form of a buffer's file: gzip, whose checksum tells damage, of a gob stream with a header and one record for each
// blob.
type (
	bufferHeader struct {
		Version int
		Blobs   int
	}
	bufferRecord struct {
		Target string
		Order  int64
		// Schema is nil if it is that of the target's record before.
		Schema *scrape.Schema
		Scrape *scrape.Scrape
		Delta  *scrape.Blob
		Full   bool
		Why    string
	}
)

const bufferVersion = 1

// encodeBlobs returns the content of a file with the blobs.
func encodeBlobs(blobs []*pending) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	enc := gob.NewEncoder(zip)
	err := enc.Encode(bufferHeader{Version: bufferVersion, Blobs: len(blobs)})
	before := make(map[string]*sizedSchema)
	for _, p := range blobs {
		if err != nil {
			break
		}
		r := bufferRecord{Target: p.target, Order: p.order, Scrape: p.scrape, Delta: p.delta, Full: p.full, Why: string(p.why)}
		if before[p.target] != p.schema {
			r.Schema = p.schema.Schema
			before[p.target] = p.schema
		}
		err = enc.Encode(r)
	}
	if err := errors.Join(err, zip.Close()); err != nil {
		return nil, fmt.Errorf("encode %d blobs for the buffer: %w", len(blobs), err)
	}
	return out.Bytes(), nil
}

// decodeBlobs reads the content of a file, to its end.
func decodeBlobs(data []byte) ([]*pending, error) {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	dec := gob.NewDecoder(zip)
	var header bufferHeader
	if err := dec.Decode(&header); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if header.Version != bufferVersion {
		return nil, fmt.Errorf("version %d, only %d is understood", header.Version, bufferVersion)
	}
	var blobs []*pending
	before := make(map[string]*sizedSchema)
	for range header.Blobs {
		p, err := decodeBlob(dec, before)
		if err != nil {
			return nil, fmt.Errorf("read blob %d: %w", len(blobs), err)
		}
		blobs = append(blobs, p)
	}
	// The checksum lies behind the last record.
	if _, err := io.Copy(io.Discard, zip); err != nil {
		return nil, fmt.Errorf("read to the end: %w", err)
	}
	return blobs, nil
}

func decodeBlob(dec *gob.Decoder, before map[string]*sizedSchema) (*pending, error) {
	var r bufferRecord
	if err := dec.Decode(&r); err != nil {
		return nil, err
	}
	if r.Schema != nil {
		before[r.Target] = sizeOf(r.Schema)
	}
	p := &pending{
		target: r.Target,
		schema: before[r.Target],
		scrape: r.Scrape,
		delta:  r.Delta,
		full:   r.Full,
		why:    reason(r.Why),
		order:  r.Order,
		since:  time.Now(),
	}
	return p, p.check()
}

// check reports whether p can be sent in either form.
func (p *pending) check() error {
	switch {
	case p.schema == nil || p.scrape == nil || p.delta == nil && !p.full:
		return errors.New("incomplete record")
	case len(p.scrape.Values) == 0 || len(p.scrape.Values) != len(p.schema.Series):
		return fmt.Errorf("%d values for %d series", len(p.scrape.Values), len(p.schema.Series))
	case p.delta != nil && (len(p.delta.Values) != len(p.delta.Index) || len(p.delta.Times) != len(p.delta.Index)):
		return fmt.Errorf("%d positions for %d values", len(p.delta.Index), len(p.delta.Values))
	}
	for _, stamp := range p.scrape.Stamps {
		if stamp.Index < 0 || int(stamp.Index) >= len(p.scrape.Values) {
			return fmt.Errorf("a time for position %d of %d", stamp.Index, len(p.scrape.Values))
		}
	}
	return nil
}
