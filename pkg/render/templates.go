package render

import (
	"fmt"
	"hash/maphash"
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

// prepared is a schema made ready for rendering and compressing. It is immutable.
type prepared struct {
	*expo.Template
	bytes int64 // of memory
}

// maxTexts is how many templates are remembered by their text, for others with the same text.
const maxTexts = 256

// prepare makes a schema ready. Most of the work is shared by all schemas with the same text, as the targets of one kind have.
func (c *templateCache) prepare(schema *scrape.Schema) *prepared {
	p := &prepared{Template: expo.NewTemplate(schema)}
	hash := p.TextHash(c.seed)
	c.mu.Lock()
	same, ok := c.texts.Get(hash)
	c.mu.Unlock()
	if !ok || !p.ShareGzip(same) {
		p.PrepareGzip()
		c.mu.Lock()
		c.texts.Add(hash, p.Template)
		c.mu.Unlock()
	}
	p.bytes = int64(p.Size()) // as if nothing were shared: what it is shared with may be forgotten first
	return p
}

// templateCache keeps prepared schemas, up to a number of bytes, and forgets those that were not used for longest. It is
// safe for concurrent use.
type templateCache struct {
	limit   int64
	metrics *Metrics
	flight  singleflight.Group // one load of a key at a time

	seed maphash.Seed // of texts

	mu    sync.Mutex // guards the fields below
	lru   *simplelru.LRU[templateKey, *prepared]
	texts *simplelru.LRU[uint64, *expo.Template] // by the hash of their text
	bytes int64
}

func newTemplateCache(limit int64, m *Metrics) (*templateCache, error) {
	lru, err := simplelru.NewLRU[templateKey, *prepared](math.MaxInt, nil)
	if err != nil {
		return nil, err
	}
	texts, err := simplelru.NewLRU[uint64, *expo.Template](maxTexts, nil)
	if err != nil {
		return nil, err
	}
	return &templateCache{limit: limit, metrics: m, seed: maphash.MakeSeed(), lru: lru, texts: texts}, nil
}

// get returns the schema of a key, with load if it is not there. Who asks for the same key and source while it is loaded
// shares the outcome.
func (c *templateCache) get(key templateKey, source uint64, load func() (*prepared, error)) (*prepared, error) {
	if p, ok := c.lookUp(key); ok {
		c.metrics.Hits.Inc()
		return p, nil
	}
	c.metrics.Misses.Inc()
	v, err, _ := c.flight.Do(fmt.Sprint(source, key.hash, key.account), func() (any, error) {
		if p, ok := c.lookUp(key); ok { // loaded since
			return p, nil
		}
		p, err := load()
		if err != nil {
			return nil, err
		}
		c.add(key, p)
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*prepared), nil
}

func (c *templateCache) lookUp(key templateKey) (*prepared, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// add keeps a schema, unless it alone exceeds the limit.
func (c *templateCache) add(key templateKey, p *prepared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.lru.Peek(key); ok {
		c.bytes -= old.bytes
	}
	c.lru.Add(key, p)
	c.bytes += p.bytes
	for c.bytes > c.limit {
		_, oldest, ok := c.lru.RemoveOldest()
		if !ok {
			break
		}
		c.bytes -= oldest.bytes
	}
	c.metrics.Bytes.Set(float64(c.bytes))
}
