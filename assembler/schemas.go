package assembler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// schemaKey names a schema in SCHEMAS.
type schemaKey struct {
	account string
	hash    scrape.Hash
}

// announced remembers which schemas this process has published, and the latest epoch of the scrapes that it did so for.
//
// Whether a scrape announces its schema depends on its target's states alone, so that a repetition gives the same states.
// What is remembered here only saves publishing once more what is there: for a target that goes back and forth between two
// sets of series, or for targets that expose the same.
type announced struct {
	period int64 // microseconds
	lru    *simplelru.LRU[schemaKey, int64]
}

func newAnnounced(period time.Duration) *announced {
	const size = 64 << 10
	lru, _ := simplelru.NewLRU[schemaKey, int64](size, nil) // fails only for a size that is not positive
	return &announced{period: period.Microseconds(), lru: lru}
}

// due reports whether a state's scrape announces its schema.
func (a *announced) due(st *scrape.State) bool {
	return st.Announced == 0 || st.Epoch-st.Announced > a.period
}

// fresh reports whether the schema was published for a scrape at most half a period older than the given epoch.
func (a *announced) fresh(key schemaKey, epoch int64) bool {
	at, ok := a.lru.Get(key)
	return ok && epoch-at <= a.period/2
}

func (a *announced) add(key schemaKey, epoch int64) { a.lru.Add(key, epoch) }

// publications are the schemas that a batch publishes, each once.
type publications struct {
	epochs   map[schemaKey]int64 // the latest epoch that a schema is published for
	messages []bus.Message
}

func newPublications() publications { return publications{epochs: make(map[schemaKey]int64)} }

// extend reports whether the schema is among the publications; then it is published for the given epoch too.
func (p *publications) extend(key schemaKey, epoch int64) bool {
	at, ok := p.epochs[key]
	if ok {
		p.epochs[key] = max(at, epoch)
	}
	return ok
}

func (p *publications) add(key schemaKey, epoch int64, data []byte) {
	p.epochs[key] = epoch
	p.messages = append(p.messages, bus.Message{Subject: event.SchemaSubject(key.account, key.hash), Data: data})
}

// announce sees to it that the schemas of a message's states are published where that is due, and notes it in the states.
// Nobody else has seen these yet.
func (s *step) announce(ctx context.Context, t *target, f *fold.Result) error {
	before := t.state
	var lost scrape.Hash
	for _, a := range f.Accepted {
		st := a.State
		if before != nil && before.Schema == st.Schema {
			st.Announced = before.Announced
		}
		before = st
		if !s.a.announced.due(st) || st.Schema == lost {
			continue
		}
		found, err := s.ensurePublished(ctx, t, a)
		if err != nil {
			return err
		}
		if found {
			st.Announced = st.Epoch
			continue
		}
		lost = st.Schema
		s.schemaLost(t, st, f)
	}
	return nil
}

// schemaLost asks for a full blob, which brings the schema again. The state still says that its schema is to be announced.
func (s *step) schemaLost(t *target, st *scrape.State, f *fold.Result) {
	s.tally.schemasLost++
	if f.Resync == "" && !f.Full {
		f.Resync = reasonSchema
	}
	s.a.deadLog.Do(func() {
		s.a.logger.Warn("schema is kept nowhere any more, asking for a full blob",
			zap.Stringer("target", t), zap.Stringer("schema", st.Schema), zap.Int64("epoch", st.Epoch))
	})
}

// ensurePublished adds the state's schema to what the batch publishes, unless it is there or was published lately. It returns
// false if the schema can't be found.
func (s *step) ensurePublished(ctx context.Context, t *target, a fold.Accepted) (bool, error) {
	st := a.State
	key := schemaKey{t.Account, st.Schema}
	if s.schemas.extend(key, st.Epoch) || s.a.announced.fresh(key, st.Epoch) {
		return true, nil
	}
	data, err := s.encodedSchema(ctx, key, a)
	if data == nil || err != nil {
		return false, err
	}
	s.schemas.add(key, st.Epoch, data)
	if st.Announced == 0 {
		s.tally.schemasNew++
	} else {
		s.tally.schemasAgain++
	}
	return true, nil
}

// encodedSchema returns the payload of a state's schema: from the blob that led to the state, from SCHEMAS, or from the last
// full blob in RAW. It returns nil if none has it.
func (s *step) encodedSchema(ctx context.Context, key schemaKey, a fold.Accepted) ([]byte, error) {
	if a.Schema != nil {
		return event.EncodeSchema(a.Schema)
	}
	m, err := s.a.log.Last(ctx, event.Schemas, event.SchemaSubject(key.account, key.hash))
	if err == nil && holdsSchema(m.Data, key.hash) {
		return m.Data, nil
	}
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, fmt.Errorf("schema %s: %w", key.hash, err)
	}
	m, err = s.a.log.Get(ctx, event.Raw, a.State.FullSequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("full blob with schema %s: %w", key.hash, err)
	}
	data := schemaIn(m.Data, key.hash)
	if data != nil {
		s.tally.schemasRebuilt++
	}
	return data, nil
}

// holdsSchema reports whether a payload of SCHEMAS is the schema with the given hash.
func holdsSchema(data []byte, hash scrape.Hash) bool {
	schema, err := event.DecodeSchema(data)
	return err == nil && schema.Hash() == hash
}

// schemaIn returns the payload of the schema with the given hash from the full blobs of a message of RAW, nil if it isn't
// there.
func schemaIn(data []byte, hash scrape.Hash) []byte {
	blobs, err := event.DecodeBlobs(data)
	if err != nil {
		return nil
	}
	for _, b := range blobs {
		if b.Full() && b.Schema.Hash() == hash {
			payload, _ := event.EncodeSchema(b.Schema) // nil on an error, which no schema that was decoded gives
			return payload
		}
	}
	return nil
}

// publishSchemas appends the batch's schemas to SCHEMAS.
func (s *step) publishSchemas(ctx context.Context) error {
	if len(s.schemas.messages) == 0 {
		return nil
	}
	failpoint.Hit("assembler.schemas.before")
	if err := s.a.log.AppendAll(ctx, event.Schemas, s.schemas.messages); err != nil {
		return fmt.Errorf("publish %d schemas: %w", len(s.schemas.messages), err)
	}
	failpoint.Hit("assembler.schemas.after")
	for key, epoch := range s.schemas.epochs {
		s.a.announced.add(key, epoch)
	}
	return nil
}
