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

	mu    sync.Mutex           // guards alive
	alive map[string]time.Time // when each was last heard of, by this process's clock
}

// joinMembers opens the bucket of workers. A worker that is silent for ttl counts as gone.
func joinMembers(ctx context.Context, b *Bus, stage, id string, ttl time.Duration, log *zap.Logger) (*members, error) {
	bucket, err := b.Bucket(ctx, workersBucket, ttl)
	if err != nil {
		return nil, err
	}
	m := &members{bucket: bucket, stage: stage, id: id, renew: ttl / 3, log: log, alive: make(map[string]time.Time)}
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
	running.Go(func() { m.renewAll(ctx, changed) })
	for ctx.Err() == nil {
		if err := m.watch(ctx, changed); err != nil && ctx.Err() == nil {
			m.log.Warn("watching workers failed, trying again", zap.Error(err))
			pause(ctx, m.renew)
		}
	}
	running.Wait()
}

func (m *members) renewAll(ctx context.Context, changed func()) {
	for pause(ctx, m.renew) {
		if m.expire() {
			changed()
		}
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

// apply notes an update and reports whether it changes who is alive.
func (m *members) apply(u Update) bool {
	id := strings.TrimPrefix(u.Key, m.stage+".")
	m.mu.Lock()
	defer m.mu.Unlock()
	_, before := m.alive[id]
	if u.Deleted {
		delete(m.alive, id)
		return before
	}
	m.alive[id] = time.Now()
	return !before
}

// expire forgets workers that were not heard of for long, and reports whether there were any. The server says when a worker's time
// is over, but a worker that was cut off may have missed it.
func (m *members) expire() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.alive)
	maps.DeleteFunc(m.alive, func(_ string, heard time.Time) bool { return time.Since(heard) > silence*m.renew })
	return len(m.alive) != before
}

// silence is after how many missed renewals a worker counts as gone even if the server has not said so.
const silence = 9

// list returns the living workers, this one among them.
func (m *members) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Collect(maps.Keys(m.alive))
	if _, ok := m.alive[m.id]; !ok {
		all = append(all, m.id)
	}
	slices.Sort(all)
	return all
}

func (m *members) isAlive(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.alive[id]
	return ok
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
