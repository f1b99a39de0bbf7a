package deflate

import (
	"cmp"
	"math/bits"
	"slices"
)

// code is a symbol's Huffman code as it goes into the stream, the first bit lowest.
type code struct {
	bits   uint64
	length uint8 // 0: the symbol has no code
}

// codes gives each symbol with a weight a code of at most limit bits, as RFC 1951, section 3.2.2, lays down for given lengths.
func codes(weights []int, limit int) []code {
	lengths := codeLengths(weights, limit)
	var count [maxCodeLength + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	var next [maxCodeLength + 2]uint32
	for n := 1; n <= maxCodeLength; n++ {
		next[n+1] = (next[n] + uint32(count[n])) << 1
	}
	out := make([]code, len(weights))
	for symbol, n := range lengths {
		if n > 0 {
			out[symbol] = code{bits: uint64(bits.Reverse32(next[n]) >> (32 - n)), length: n}
			next[n]++
		}
	}
	return out
}

// codeLengths returns the length of each symbol's code, 0 for symbols without weight. Weights are flattened until no code is
// longer than limit, which costs little: only rare symbols have long codes.
func codeLengths(weights []int, limit int) []uint8 {
	for {
		lengths := huffman(weights)
		if int(slices.Max(lengths)) <= limit {
			return lengths
		}
		weights = slices.Clone(weights)
		for i, w := range weights {
			if w > 0 {
				weights[i] = (w + 1) / 2
			}
		}
	}
}

// huffman returns the lengths of an optimal code of any length. It is the algorithm of two queues: leaves ascending by
// weight, and inner nodes in the order of their making, which ascends too.
func huffman(weights []int) []uint8 {
	var leaves []int
	for symbol, w := range weights {
		if w > 0 {
			leaves = append(leaves, symbol)
		}
	}
	lengths := make([]uint8, len(weights))
	if len(leaves) < 2 {
		for _, symbol := range leaves {
			lengths[symbol] = 1
		}
		return lengths
	}
	slices.SortStableFunc(leaves, func(a, b int) int { return cmp.Compare(weights[a], weights[b]) })
	n := len(leaves)
	weight := make([]int, n, 2*n-1)
	for i, symbol := range leaves {
		weight[i] = weights[symbol]
	}
	parent := make([]int, 2*n-1)
	leaf, inner := 0, n
	take := func(made int) int {
		if leaf < n && (inner == made || weight[leaf] <= weight[inner]) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for made := n; made < 2*n-1; made++ {
		a := take(made)
		b := take(made)
		parent[a], parent[b] = made, made
		weight = append(weight, weight[a]+weight[b])
	}
	depth := make([]uint8, 2*n-1)
	for i := 2*n - 3; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
		if i < n {
			lengths[leaves[i]] = depth[i]
		}
	}
	return lengths
}
