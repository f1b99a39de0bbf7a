package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
)

// marks follows the resync marks of all targets.
type marks struct {
	source  Marks
	pause   time.Duration // before a watch that failed is begun anew
	metrics *metrics
	logger  *zap.Logger

	mu     sync.RWMutex // guards what follows
	values map[string]uint64
	err    error // why the values may be out of date, or nil
}

func newMarks(o Options, m *metrics) *marks {
	return &marks{
		source: o.Marks, pause: time.Second, metrics: m, logger: o.Logger,
		err: errors.New("the resync marks have not been read yet"),
	}
}

// of returns the mark of the target with the key, 0 for none.
func (k *marks) of(key string) uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.values[key]
}

// ready reports why the marks can't be relied on, or nil.
func (k *marks) ready() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.err
}

// run follows the marks until ctx ends.
func (k *marks) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		k.logger.Error("the resync marks can't be followed; no requests are taken until they can", zap.Error(err))
		k.fail(fmt.Errorf("the resync marks can't be followed: %w", err))
		select {
		case <-time.After(k.pause):
		case <-ctx.Done():
		}
	}
}

// follow reads all marks and then their changes, until that fails.
func (k *marks) follow(ctx context.Context) error {
	w, err := k.source.Watch(ctx, ">")
	if err != nil {
		return err
	}
	defer w.Close()
	values := make(map[string]uint64)
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return err
		}
		if u.Ready {
			break
		}
		k.apply(values, u)
	}
	k.begin(values)
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return err
		}
		k.change(u)
	}
}

// begin replaces all values and declares them good.
func (k *marks) begin(values map[string]uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.values, k.err = values, nil
	k.metrics.marks.Set(float64(len(values)))
}

func (k *marks) change(u bus.Update) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.apply(k.values, u)
	k.metrics.marks.Set(float64(len(k.values)))
}

func (k *marks) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *marks) apply(values map[string]uint64, u bus.Update) {
	if u.Deleted {
		delete(values, u.Key)
		return
	}
	sequence, err := strconv.ParseUint(string(u.Value), 10, 64)
	if err != nil {
		k.logger.Error("a resync mark is no sequence and is ignored", zap.String("key", u.Key), zap.Error(err))
		return
	}
	values[u.Key] = sequence
}
