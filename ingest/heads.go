package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// heads finds what the log says of targets, by the subjects of their RAW messages, and remembers some of it.
//
// A remembered head may be out of date, since other processes append too; it is never ahead of the log. Whoever finds that it
// doesn't fit reads it anew.
type heads struct {
	cache   *lru.Cache[string, event.Head]
	log     Log
	limit   time.Duration // what is older counts as nothing
	metrics *metrics
	logger  *zap.Logger
}

func newHeads(o Options, m *metrics) (*heads, error) {
	cache, err := lru.New[string, event.Head](o.Limits.Heads)
	if err != nil {
		return nil, fmt.Errorf("cache of %d heads: %w", o.Limits.Heads, err)
	}
	return &heads{cache: cache, log: o.Log, limit: o.HeadLimit, metrics: m, logger: o.Logger}, nil
}

// cached returns the remembered head, or nil if there is none that is recent at the time now, microseconds since the Unix
// epoch.
func (h *heads) cached(subject string, now int64) *event.Head {
	head, ok := h.cache.Get(subject)
	if !ok || h.old(head, now) {
		return nil
	}
	h.metrics.headHits.Inc()
	return &head
}

// read asks the log, and remembers the answer. It returns nil if there is no head that is recent at the time now.
func (h *heads) read(ctx context.Context, subject string, now int64, why readCause) (*event.Head, error) {
	h.metrics.headReads.WithLabelValues(string(why)).Inc()
	m, err := h.log.Last(ctx, event.Raw, subject)
	if errors.Is(err, bus.ErrNotFound) {
		h.forget(subject)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read head: %w", err)
	}
	head, err := event.ReadHead(m.Header, m.Sequence)
	if err != nil {
		// A message that no ingest can have written must not keep its target from going on: a full blob begins anew.
		h.logger.Error("a message of RAW has no head", zap.String("subject", subject), zap.Uint64("sequence", m.Sequence), zap.Error(err))
		h.forget(subject)
		return nil, nil
	}
	h.set(subject, head)
	if h.old(head, now) {
		return nil, nil
	}
	return &head, nil
}

func (h *heads) old(head event.Head, now int64) bool {
	return now-head.Received > h.limit.Microseconds()
}

func (h *heads) set(subject string, head event.Head) { h.cache.Add(subject, head) }

func (h *heads) forget(subject string) { h.cache.Remove(subject) }
