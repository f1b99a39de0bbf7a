package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// workersBucket holds a key for each living worker of each stage.
const workersBucket = "ZS_WORKERS"

// members announces a worker and learns of the others of its stage.
type members struct {
	bucket *Bucket
	stage  string
	id     string
	renew  time.Duration
	log    *zap.Logger

	mu    sync.Mutex // guards alive
	alive map[string]bool
}

// joinMembers opens the bucket of workers. A worker that is silent for ttl counts as gone.
func joinMembers(ctx context.Context, b *Bus, stage, id string, ttl time.Duration, log *zap.Logger) (*members, error) {
	bucket, err := b.Bucket(ctx, workersBucket, ttl)
	if err != nil {
		return nil, err
	}
	m := &members{bucket: bucket, stage: stage, id: id, renew: ttl / 3, log: log, alive: map[string]bool{id: true}}
	if err := m.announce(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *members) key() string { return m.stage + "." + m.id }

func (m *members) announce(ctx context.Context) error {
	return m.bucket.Put(ctx, m.key(), nil)
}

// run renews the announcement and calls changed whenever the workers may have changed, until ctx ends.
func (m *members) run(ctx context.Context, changed func()) {
	var running sync.WaitGroup
	running.Go(func() { m.renewAll(ctx) })
	for ctx.Err() == nil {
		if err := m.watch(ctx, changed); err != nil && ctx.Err() == nil {
			m.log.Warn("watching workers failed, trying again", zap.Error(err))
			pause(ctx, m.renew)
		}
	}
	running.Wait()
}

func (m *members) renewAll(ctx context.Context) {
	for pause(ctx, m.renew) {
		if err := m.announce(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("announcing this worker failed", zap.Error(err))
		}
	}
}

func (m *members) watch(ctx context.Context, changed func()) error {
	w, err := m.bucket.Watch(ctx, m.stage+".*")
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return err
		}
		if u.Ready || m.apply(u) {
			changed()
		}
	}
}

// apply notes an update and reports whether it changes anything.
func (m *members) apply(u Update) bool {
	id := strings.TrimPrefix(u.Key, m.stage+".")
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.alive[id]
	if u.Deleted && id != m.id {
		delete(m.alive, id)
	} else if !u.Deleted {
		m.alive[id] = true
	}
	return before != m.alive[id]
}

// list returns the living workers, this one among them.
func (m *members) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.alive))
}

func (m *members) isAlive(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alive[id]
}

// leave takes the announcement back.
func (m *members) leave(ctx context.Context) error {
	if err := m.bucket.Delete(ctx, m.key()); err != nil {
		return fmt.Errorf("leave the workers of stage %s: %w", m.stage, err)
	}
	return nil
}

// pause waits for d and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
