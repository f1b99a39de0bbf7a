package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bucket holds small values by key, each for a time.
type Bucket struct {
	bus  *Bus
	kv   jetstream.KeyValue
	name string
}

// Bucket opens the bucket with the given name, making it if it is missing and giving its values another life where ttl says so. A
// value lives for ttl after its last Put.
func (b *Bus) Bucket(ctx context.Context, name string, ttl time.Duration) (*Bucket, error) {
	want := jetstream.KeyValueConfig{
		Bucket:         name,
		TTL:            ttl,
		LimitMarkerTTL: max(ttl, time.Minute),
		History:        1,
		Replicas:       b.replicas,
		Storage:        jetstream.FileStorage,
	}
	kv, err := b.js.KeyValue(ctx, name)
	if err == nil {
		err = b.updateBucket(ctx, kv, want)
	} else if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.js.CreateOrUpdateKeyValue(ctx, want) // another process may be making it
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return &Bucket{bus: b, kv: kv, name: name}, nil
}

// updateBucket brings a bucket to what is wanted. One that is right already is left alone, since an update writes to a disk that may
// be full. Copies are only added: to take them away needs hands, as with streams.
func (b *Bus) updateBucket(ctx context.Context, kv jetstream.KeyValue, want jetstream.KeyValueConfig) error {
	have, err := kv.Status(ctx)
	if err != nil {
		return err
	}
	c := have.Config()
	want.Replicas = max(want.Replicas, c.Replicas)
	if c.TTL == want.TTL && c.LimitMarkerTTL == want.LimitMarkerTTL && c.Replicas == want.Replicas {
		return nil
	}
	_, err = b.js.UpdateKeyValue(ctx, want)
	return err
}

// Put sets a value.
func (k *Bucket) Put(ctx context.Context, key string, value []byte) error {
	err := k.bus.asking(ctx, func(ctx context.Context) error {
		_, err := k.kv.Put(ctx, key, value)
		return err
	})
	if err != nil {
		return fmt.Errorf("bucket %s: put %s: %w", k.name, key, err)
	}
	return nil
}

// Get returns a value, or ErrNotFound.
func (k *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	var entry jetstream.KeyValueEntry
	err := k.bus.asking(ctx, func(ctx context.Context) (err error) {
		entry, err = k.kv.Get(ctx, key)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("bucket %s: %s: %w", k.name, key, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: get %s: %w", k.name, key, err)
	}
	return entry.Value(), nil
}

// Delete removes a value.
func (k *Bucket) Delete(ctx context.Context, key string) error {
	err := k.bus.asking(ctx, func(ctx context.Context) error { return k.kv.Delete(ctx, key) })
	if err != nil {
		return fmt.Errorf("bucket %s: delete %s: %w", k.name, key, err)
	}
	return nil
}

// Update is a change of a bucket.
type Update struct {
	Key   string
	Value []byte
	// Deleted: the value was deleted or its time is over.
	Deleted bool
	// Ready marks no change: all values that there were when the watch began have been delivered.
	Ready bool
}

// Watch delivers the values of a bucket and then its changes. It ends when an embedded server is restarted, after which a value may
// be an earlier one again. It is for one goroutine.
type Watch struct {
	watcher jetstream.KeyWatcher
	name    string
	over    <-chan struct{} // nil with an external server
}

// Watch begins to watch the keys that match filter, with the wildcards of subjects.
func (k *Bucket) Watch(ctx context.Context, filter string) (*Watch, error) {
	_, l, release, err := k.bus.bind(ctx)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: watch %s: %w", k.name, filter, err)
	}
	defer release()
	w, err := k.kv.Watch(context.WithoutCancel(ctx), filter)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: watch %s: %w", k.name, filter, err)
	}
	watch := &Watch{watcher: w, name: k.name}
	if l != nil {
		watch.over = l.over.Done()
	}
	return watch, nil
}

// Next waits for the next update.
func (w *Watch) Next(ctx context.Context) (Update, error) {
	select {
	case <-ctx.Done():
		return Update{}, ctx.Err()
	case <-w.over:
		return Update{}, fmt.Errorf("bucket %s: the embedded NATS server is being restarted", w.name)
	case e, ok := <-w.watcher.Updates():
		switch {
		case !ok:
			return Update{}, fmt.Errorf("bucket %s: watch has ended", w.name)
		case e == nil:
			return Update{Ready: true}, nil
		}
		deleted := e.Operation() != jetstream.KeyValuePut
		return Update{Key: e.Key(), Value: e.Value(), Deleted: deleted}, nil
	}
}

// Close ends the watch.
func (w *Watch) Close() {
	_ = w.watcher.Stop() // fails only if the connection is gone, which ends the watch as well
}
