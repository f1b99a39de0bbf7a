package scrape

import "hash/fnv"

// Target names one scraped endpoint of an account.
type Target struct {
	// Account is the tenant. It comes from the token, never from what a collector sends.
	Account string
	// Source is the cluster or site that the token stands for; empty when the token names none.
	Source string
	// Name is "<instance>.<job>", as the collector names it.
	Name string
}

// String shows the target in logs and on terminals: account/name, or account/@source/name.
func (t Target) String() string {
	if t.Source == "" {
		return t.Account + "/" + t.Name
	}
	return t.Account + "/@" + t.Source + "/" + t.Name
}

// Partition returns the partition of t among n, in [0, n). The function is part of the log's format: another value for
// the same target would split its scrapes over two partitions, so it is pinned by test vectors and never changes.
func (t Target) Partition(n int) int {
	h := fnv.New64a()
	// 0xff ends each part: it occurs in no valid UTF-8, so no two targets concatenate to the same bytes.
	for _, part := range [...]string{t.Account, t.Source, t.Name} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0xff})
	}
	sum := h.Sum64()
	return int((sum ^ sum>>32) % uint64(n))
}
