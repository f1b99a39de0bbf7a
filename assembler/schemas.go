package assembler

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// announce adds the schemas that the message's scrapes name for the first time, or for the first time in a period, to what is
// published, and notes that in their states. Whether to publish depends on the states alone, so that a repetition decides
// the same.
func (s *step) announce(ctx context.Context, m message, r *result) error {
	period := s.a.o.ReannouncePeriod.Microseconds()
	var hash scrape.Hash // of what was announced in this message, and when
	var at int64
	for i, st := range r.states {
		if hash == st.Schema && !hash.IsZero() {
			st.Announced = at
		}
		if st.Announced != 0 && st.Epoch-st.Announced <= period {
			continue
		}
		again := st.Announced != 0
		data, err := s.schema(ctx, m.target.Account, st, r.schemas[i])
		if err != nil {
			return err
		}
		if data == nil {
			s.a.metrics.schemasLost.Inc()
			s.a.log.Warn("schema is kept nowhere any more, asking for a full blob", zap.Stringer("target", m.target), zap.Stringer("schema", st.Schema))
			r.resync, r.full = reasonSchema, false
			continue
		}
		st.Announced = st.Epoch
		hash, at = st.Schema, st.Announced
		subject := event.SchemaSubject(m.target.Account, st.Schema)
		s.schemas[subject] = bus.Message{Subject: subject, Data: data}
		s.a.metrics.schemas(again)
	}
	return nil
}

// schema returns the encoded schema of a state: from its own blob if that was full, else from SCHEMAS, else from the last
// full blob in RAW; nil if it is gone.
func (s *step) schema(ctx context.Context, account string, st *scrape.State, own *scrape.Schema) ([]byte, error) {
	if own != nil {
		return event.EncodeSchema(own)
	}
	m, err := s.a.o.Bus.Last(ctx, event.Schemas, event.SchemaSubject(account, st.Schema))
	if err == nil {
		return m.Data, nil
	}
	if !errors.Is(err, bus.ErrNotFound) {
		return nil, fmt.Errorf("schema %s: %w", st.Schema, err)
	}
	m, err = s.a.o.Bus.Get(ctx, event.Raw, st.FullSequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("last full blob: %w", err)
	}
	return schemaFromBlobs(m, st.Schema)
}

// schemaFromBlobs returns the encoded schema with the given hash from a message of RAW; nil if it isn't there.
func schemaFromBlobs(m bus.Message, hash scrape.Hash) ([]byte, error) {
	blobs, err := event.DecodeBlobs(m.Data)
	if err != nil {
		return nil, nil // what can't be decoded holds no schema
	}
	for _, b := range blobs {
		if b.Full() && b.Schema.Hash() == hash {
			return event.EncodeSchema(b.Schema)
		}
	}
	return nil, nil
}
