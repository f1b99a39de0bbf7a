package render

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Log is where schemas are read from.
type Log interface {
	// Last returns the last message on a subject, or bus.ErrNotFound.
	Last(ctx context.Context, stream, subject string) (bus.Message, error)
	// Get returns the message with a sequence, or bus.ErrNotFound.
	Get(ctx context.Context, stream string, sequence uint64) (bus.Message, error)
}

// Options configure Schemas. Log is required.
type Options struct {
	Log Log
	// CacheBytes bounds the memory that prepared schemas take; 0 is 256 MiB. A node exporter's takes about 130 kB.
	CacheBytes int64
	Logger     *zap.Logger
	Metrics    *Metrics
}

// Schemas hands out prepared schemas. It is safe for concurrent use.
type Schemas struct {
	log     Log
	cache   *templateCache
	logger  *zap.Logger
	metrics *Metrics
}

// NewSchemas returns Schemas that holds none yet.
func NewSchemas(o Options) (*Schemas, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics("", nil)
	}
	cache, err := newTemplateCache(o.CacheBytes, o.Metrics)
	return &Schemas{log: o.Log, cache: cache, logger: o.Logger, metrics: o.Metrics}, err
}

// Add prepares a schema that came in a full blob of an account, unless it is there. Its hash is what a state calls it by.
func (s *Schemas) Add(account string, hash scrape.Hash, schema *scrape.Schema) {
	key := templateKey{account: account, hash: hash}
	if _, ok := s.cache.lookUp(key); !ok {
		s.cache.add(key, s.cache.prepare(schema))
	}
}

// template returns the prepared schema of a scrape: from the cache, from SCHEMAS, or from the full blob in RAW that began the
// scrape's run. A schema that is in none of them is a refusal.
func (s *Schemas) template(ctx context.Context, account string, st *scrape.State) (*prepared, error) {
	key := templateKey{account: account, hash: st.Schema}
	return s.cache.get(key, st.FullSequence, func() (*prepared, error) {
		schema, err := s.announced(ctx, key)
		if schema == nil && err == nil {
			schema, err = s.fromBlob(ctx, key, st.FullSequence)
		}
		if err != nil {
			return nil, err
		}
		return s.cache.prepare(schema), nil
	})
}

// announced reads a schema from SCHEMAS; nil if it is not there or is another.
func (s *Schemas) announced(ctx context.Context, key templateKey) (*scrape.Schema, error) {
	subject := event.SchemaSubject(key.account, key.hash)
	m, err := s.log.Last(ctx, event.Schemas, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &LogError{err}
	}
	schema, err := event.DecodeSchema(m.Data)
	if err == nil && schema.Hash() != key.hash {
		err = errors.New("it has another hash")
	}
	if err != nil {
		s.logger.Error("schema in the log is damaged, looking for its full blob",
			zap.String("subject", subject), zap.Uint64("sequence", m.Sequence), zap.Error(err))
		return nil, nil
	}
	return schema, nil
}

// fromBlob finds a schema among the full blobs of a message in RAW.
func (s *Schemas) fromBlob(ctx context.Context, key templateKey, sequence uint64) (*scrape.Schema, error) {
	blobs, err := s.blobs(ctx, sequence)
	if err != nil {
		return nil, err
	}
	for _, b := range blobs {
		if b.Full() && b.Schema.Hash() == key.hash {
			s.metrics.Rebuilt.Inc()
			return b.Schema, nil
		}
	}
	return nil, refuse(ReasonNoSchema, fmt.Errorf("schema %s is neither in %s nor in message %d of %s",
		key.hash, event.Schemas, sequence, event.Raw))
}

// blobs reads a message of RAW; none if it is gone or can't be decoded.
func (s *Schemas) blobs(ctx context.Context, sequence uint64) ([]*scrape.Blob, error) {
	if sequence == 0 { // no message has it
		return nil, nil
	}
	m, err := s.log.Get(ctx, event.Raw, sequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &LogError{err}
	}
	blobs, err := event.DecodeBlobs(m.Data)
	if err != nil {
		s.logger.Error("message in the log can't be decoded",
			zap.String("stream", event.Raw), zap.Uint64("sequence", sequence), zap.Error(err))
	}
	return blobs, nil
}
