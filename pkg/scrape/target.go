package scrape

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
//
// It is the 64-bit FNV-1a hash (RFC 9923) of account, source and name, each followed by a byte 0xff, with its upper half
// folded into the lower. 0xff occurs in no valid UTF-8, so no two targets give the same bytes.
func (t Target) Partition(n int) int {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	sum := uint64(offset)
	for _, part := range [...]string{t.Account, t.Source, t.Name} {
		for i := range len(part) {
			sum = (sum ^ uint64(part[i])) * prime
		}
		sum = (sum ^ 0xff) * prime
	}
	return int((sum ^ sum>>32) % uint64(n))
}
