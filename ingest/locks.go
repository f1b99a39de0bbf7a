package ingest

import (
	"context"
	"sync"
)

// locks makes requests that speak of the same target take turns. A key that nobody holds takes no memory.
type locks struct {
	mu   sync.Mutex // guards held
	held map[string]*lock
}

// lock is a key that somebody holds or waits for.
type lock struct {
	users int           // guarded by locks.mu: the holder and those that wait
	token chan struct{} // full while somebody holds the key
}

func newLocks() *locks { return &locks{held: make(map[string]*lock)} }

// acquire waits for all keys and returns what gives them back. The keys must be different and sorted: as everybody takes them
// in one order, nobody can wait for somebody who waits for him. If ctx ends before, acquire returns its error and holds
// nothing.
func (l *locks) acquire(ctx context.Context, keys []string) (release func(), err error) {
	taken := make([]*lock, 0, len(keys))
	release = func() {
		for i, k := range taken {
			<-k.token
			l.leave(keys[i], k)
		}
	}
	for _, key := range keys {
		k := l.enter(key)
		select {
		case k.token <- struct{}{}:
			taken = append(taken, k)
		case <-ctx.Done():
			l.leave(key, k)
			release()
			return nil, ctx.Err()
		}
	}
	return release, nil
}

func (l *locks) enter(key string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	if k == nil {
		k = &lock{token: make(chan struct{}, 1)}
		l.held[key] = k
	}
	k.users++
	return k
}

func (l *locks) leave(key string, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.users--
	if k.users == 0 {
		delete(l.held, key)
	}
}
