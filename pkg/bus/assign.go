package bus

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
)

// assign spreads n partitions over workers by rendezvous hashing (Thaler and Ravishankar, 1996) with a floor and a cap, so that
// the numbers of partitions differ by at most one and few partitions move when a worker comes or goes. Every worker computes
// the same from the same members. It returns the partitions of worker self, ascending.
func assign(n int, workers []string, self string) []int {
	if len(workers) == 0 {
		return nil
	}
	workers = slices.Clone(workers)
	slices.Sort(workers)
	workers = slices.Compact(workers)
	floor, extra := n/len(workers), n%len(workers) // extra workers have one partition more than floor
	count := make(map[string]int, len(workers))
	var own []int
	for p := range n {
		for _, worker := range ranked(workers, p) {
			if count[worker] > floor || count[worker] == floor && extra == 0 {
				continue
			}
			if count[worker] == floor {
				extra--
			}
			count[worker]++
			if worker == self {
				own = append(own, p)
			}
			break
		}
	}
	return own
}

// ranked returns the workers in the order of their claim to partition p.
func ranked(workers []string, p int) []string {
	scores := make(map[string]uint64, len(workers))
	for _, w := range workers {
		h := fnv.New64a()
		_, _ = h.Write([]byte(w + "/" + strconv.Itoa(p))) // a hash never fails
		scores[w] = mix(h.Sum64())
	}
	order := slices.Clone(workers)
	slices.SortFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	return order
}

// mix spreads the difference of similar inputs over all bits; FNV alone leaves the high bits of short keys alike. It is the
// finaliser of MurmurHash3.
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
