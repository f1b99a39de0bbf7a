package writer

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// eventLog is what the writer asks of the log beside its input.
type eventLog interface {
	// Last returns the last message on a subject, or bus.ErrNotFound.
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
	// Get returns the message with a sequence, or bus.ErrNotFound.
	Get(ctx context.Context, stream string, sequence uint64) (bus.Message, error)
	// Append stores messages durably.
	Append(ctx context.Context, stream string, msgs ...bus.Message) ([]uint64, error)
}

// template returns the prepared schema of a scrape: from the cache, from SCHEMAS, or from the full blob in RAW that began the
// scrape's run. A schema that is in none of them is a refusal.
func (w *Writer) template(ctx context.Context, account string, s *scrape.State) (*prepared, error) {
	key := templateKey{account: account, hash: s.Schema}
	return w.templates.get(key, s.FullSequence, func() (*prepared, error) {
		schema, err := w.announced(ctx, key)
		if schema == nil && err == nil {
			schema, err = w.fromBlob(ctx, key, s.FullSequence)
		}
		if err != nil {
			return nil, err
		}
		return w.templates.prepare(schema), nil
	})
}

// announced reads a schema from SCHEMAS; nil if it is not there or is another.
func (w *Writer) announced(ctx context.Context, key templateKey) (*scrape.Schema, error) {
	subject := event.SchemaSubject(key.account, key.hash)
	m, err := w.log.Last(ctx, event.Schemas, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &logError{err}
	}
	schema, err := event.DecodeSchema(m.Data)
	if err == nil && schema.Hash() != key.hash {
		err = errors.New("it has another hash")
	}
	if err != nil {
		w.logger.Error("schema in the log is damaged, looking for its full blob",
			zap.String("subject", subject), zap.Uint64("sequence", m.Sequence), zap.Error(err))
		return nil, nil
	}
	return schema, nil
}

// fromBlob finds a schema among the full blobs of a message in RAW.
func (w *Writer) fromBlob(ctx context.Context, key templateKey, sequence uint64) (*scrape.Schema, error) {
	blobs, err := w.blobs(ctx, sequence)
	if err != nil {
		return nil, err
	}
	for _, b := range blobs {
		if b.Full() && b.Schema.Hash() == key.hash {
			w.metrics.schemasRebuilt.Inc()
			return b.Schema, nil
		}
	}
	return nil, refuse(reasonNoSchema, fmt.Errorf("schema %s is neither in %s nor in message %d of %s",
		key.hash, event.Schemas, sequence, event.Raw))
}

// blobs reads a message of RAW; none if it is gone or can't be decoded.
func (w *Writer) blobs(ctx context.Context, sequence uint64) ([]*scrape.Blob, error) {
	if sequence == 0 { // no message has it
		return nil, nil
	}
	m, err := w.log.Get(ctx, event.Raw, sequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &logError{err}
	}
	blobs, err := event.DecodeBlobs(m.Data)
	if err != nil {
		w.logger.Error("message in the log can't be decoded",
			zap.String("stream", event.Raw), zap.Uint64("sequence", sequence), zap.Error(err))
	}
	return blobs, nil
}
