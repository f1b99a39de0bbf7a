package assembler

import (
	"container/list"

	"github.com/zstats/zstats/pkg/scrape"
)

// targetCache keeps what is known of targets in memory, up to a number of bytes; those used longest ago go first.
type targetCache struct {
	partitions []map[scrape.Target]*list.Element
	used       *list.List // of *cachedTarget, last used first
	bytes      int64
	most       int64
	metrics    *metrics
}

type cachedTarget struct {
	*target
	bytes int64
}

func newTargetCache(partitions int, most int64, m *metrics) *targetCache {
	c := &targetCache{partitions: make([]map[scrape.Target]*list.Element, partitions), used: list.New(), most: most, metrics: m}
	for p := range c.partitions {
		c.partitions[p] = make(map[scrape.Target]*list.Element)
	}
	return c
}

// peek returns what is kept of a target of partition p, or nil. It must not be modified.
func (c *targetCache) peek(t scrape.Target, p int) *target {
	e, ok := c.partitions[p][t]
	if !ok {
		return nil
	}
	return e.Value.(*cachedTarget).target
}

// put keeps t as the one used last.
func (c *targetCache) put(t *target) {
	if e, ok := c.partitions[t.partition][t.Target]; ok {
		c.remove(e)
	}
	entry := &cachedTarget{target: t, bytes: t.size()}
	c.partitions[t.partition][t.Target] = c.used.PushFront(entry)
	c.bytes += entry.bytes
	for c.bytes > c.most {
		c.remove(c.used.Back())
		c.metrics.cacheEvictions.Inc()
	}
	c.report()
}

// forget drops the targets of partition p.
func (c *targetCache) forget(p int) {
	for _, e := range c.partitions[p] {
		c.remove(e)
	}
	c.report()
}

func (c *targetCache) remove(e *list.Element) {
	entry := c.used.Remove(e).(*cachedTarget)
	delete(c.partitions[entry.partition], entry.Target)
	c.bytes -= entry.bytes
}

func (c *targetCache) report() {
	c.metrics.cacheBytes.Set(float64(c.bytes))
	c.metrics.cacheTargets.Set(float64(c.used.Len()))
}
