package checker

import (
	"cmp"
	"slices"

	"github.com/zstats/zstats/pkg/scrape"
)

// judgeOrder checks that the epochs of each target ascend as far as the order is known.
func (c *comparison) judgeOrder() {
	for i, all := range c.written {
		before, ok := c.written[id{i.target, i.generation - 1}]
		if ok && before[0].Epoch >= all[0].Epoch {
			c.find(OutOfOrder, i, "epoch %d is not behind %d of the generation before", all[0].Epoch, before[0].Epoch)
		}
	}
	for _, chain := range c.chains() {
		c.judgeChain(chain)
	}
}

// link is a scrape that was both sent and written.
type link struct {
	id    id
	epoch int64
	// first and acked are as in Sent.
	first, acked int
}

// chains returns, for each target and ledger, the scrapes of which both the place and the epoch are known.
func (c *comparison) chains() map[chainKey][]link {
	chains := make(map[chainKey][]link)
	for i, all := range c.written {
		s, ok := c.sent[i]
		if ok && s.First > 0 {
			key := chainKey{s.Target, s.Ledger}
			chains[key] = append(chains[key], link{i, all[0].Epoch, s.First, s.Acked})
		}
	}
	return chains
}

type chainKey struct {
	target scrape.Target
	ledger int
}

// judgeChain checks that each scrape's epoch is behind those of all that had been acknowledged before it was first sent. What the
// rule for generations finds too is left to that.
func (c *comparison) judgeChain(chain []link) {
	sent := slices.SortedFunc(slices.Values(chain), func(a, b link) int { return cmp.Compare(a.first, b.first) })
	acked := slices.SortedFunc(slices.Values(chain), func(a, b link) int { return cmp.Compare(a.acked, b.acked) })
	var newest link // of all that were acknowledged so far
	for _, l := range sent {
		for len(acked) > 0 && acked[0].acked < l.first {
			if a := acked[0]; a.acked > 0 && a.epoch > newest.epoch {
				newest = a
			}
			acked = acked[1:]
		}
		if newest.epoch >= l.epoch && newest.id.generation != l.id.generation-1 {
			c.find(OutOfOrder, l.id, "epoch %d is not behind %d of generation %d, which was acknowledged before this was sent",
				l.epoch, newest.epoch, newest.id.generation)
		}
	}
}
