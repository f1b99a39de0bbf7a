package writer

import (
	"fmt"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// templateKey names a schema. The account is part of it: a schema is only ever read for the account that published it.
type templateKey struct {
	account string
	hash    scrape.Hash
}

// templateCache keeps prepared schemas, up to a number of bytes, and forgets those that were not used for longest. It is
// safe for concurrent use.
type templateCache struct {
	limit   int64
	metrics *metrics
	flight  singleflight.Group // one load of a key at a time

	mu    sync.Mutex // guards the fields below
	lru   *simplelru.LRU[templateKey, *expo.Template]
	bytes int64
}

func newTemplateCache(limit int64, m *metrics) (*templateCache, error) {
	lru, err := simplelru.NewLRU[templateKey, *expo.Template](math.MaxInt, nil)
	if err != nil {
		return nil, err
	}
	return &templateCache{limit: limit, metrics: m, lru: lru}, nil
}

// get returns the template of a key, with load if it is not there. Who asks for the same key and source while it is loaded
// shares the outcome.
func (c *templateCache) get(key templateKey, source uint64, load func() (*expo.Template, error)) (*expo.Template, error) {
	if t, ok := c.lookUp(key); ok {
		c.metrics.cacheHits.Inc()
		return t, nil
	}
	c.metrics.cacheMisses.Inc()
	v, err, _ := c.flight.Do(fmt.Sprint(source, key.hash, key.account), func() (any, error) {
		if t, ok := c.lookUp(key); ok { // loaded since
			return t, nil
		}
		t, err := load()
		if err != nil {
			return nil, err
		}
		c.add(key, t)
		return t, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*expo.Template), nil
}

func (c *templateCache) lookUp(key templateKey) (*expo.Template, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// add keeps a template, unless it alone exceeds the limit.
func (c *templateCache) add(key templateKey, t *expo.Template) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.lru.Peek(key); ok {
		c.bytes -= int64(old.Size())
	}
	c.lru.Add(key, t)
	c.bytes += int64(t.Size())
	for c.bytes > c.limit {
		_, oldest, ok := c.lru.RemoveOldest()
		if !ok {
			break
		}
		c.bytes -= int64(oldest.Size())
	}
	c.metrics.cacheBytes.Set(float64(c.bytes))
}
