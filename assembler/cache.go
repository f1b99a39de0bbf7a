package assembler

import (
	"container/list"

	"github.com/zstats/zstats/pkg/scrape"
)

// stateCache keeps the states of targets in memory, up to a number of bytes; those used longest ago go first.
type stateCache struct {
	partitions []map[scrape.Target]*list.Element // by partition
	used       *list.List                        // of *cachedState, last used first
	bytes      int64
	most       int64
	metrics    *metrics
}

type cachedState struct {
	target scrape.Target
	state  *scrape.State
	size   int64
}

// entryOverhead is what an entry takes beside its state and the strings of its target, in bytes, roughly.
const entryOverhead = 256

func newStateCache(partitions int, most int64, m *metrics) *stateCache {
	c := &stateCache{partitions: make([]map[scrape.Target]*list.Element, partitions), used: list.New(), most: most, metrics: m}
	for p := range c.partitions {
		c.partitions[p] = make(map[scrape.Target]*list.Element)
	}
	return c
}

func (c *stateCache) of(t scrape.Target) map[scrape.Target]*list.Element {
	return c.partitions[t.Partition(len(c.partitions))]
}

func (c *stateCache) get(t scrape.Target) (*scrape.State, bool) {
	e, ok := c.of(t)[t]
	if !ok {
		c.metrics.cacheMisses.Inc()
		return nil, false
	}
	c.metrics.cacheHits.Inc()
	c.used.MoveToFront(e)
	return e.Value.(*cachedState).state, true
}

func (c *stateCache) put(t scrape.Target, st *scrape.State) {
	own := c.of(t)
	if e, ok := own[t]; ok {
		c.remove(own, e)
	}
	entry := &cachedState{target: t, state: st, size: int64(st.Size()) + entryOverhead + int64(len(t.Account)+len(t.Source)+len(t.Name))}
	own[t] = c.used.PushFront(entry)
	c.bytes += entry.size
	for c.bytes > c.most && c.used.Len() > 1 {
		oldest := c.used.Back()
		c.remove(c.of(oldest.Value.(*cachedState).target), oldest)
		c.metrics.cacheEvictions.Inc()
	}
	c.metrics.cacheBytes.Set(float64(c.bytes))
}

// forget drops the states of partition p.
func (c *stateCache) forget(p int) {
	for _, e := range c.partitions[p] {
		c.remove(c.partitions[p], e)
	}
	c.metrics.cacheBytes.Set(float64(c.bytes))
}

func (c *stateCache) remove(own map[scrape.Target]*list.Element, e *list.Element) {
	entry := c.used.Remove(e).(*cachedState)
	delete(own, entry.target)
	c.bytes -= entry.size
}
