package expo

import (
	"cmp"
	"math/bits"
	"slices"
)

// code is a Huffman code as it goes into the stream, perhaps with extra bits behind it: at most 24 bits, and above them
// their number. It is 0 if the symbol has none.
type code uint32

func (c code) bits() uint64 { return uint64(c & (1<<24 - 1)) }
func (c code) len() uint    { return uint(c >> 24) }

// with returns the code with n extra bits.
func (c code) with(extra uint32, n uint) code {
	return code(uint32(c.bits())|extra<<c.len()) | code(c.len()+n)<<24
}

// canonicalCodes makes the codes that belong to lengths (RFC 1951, section 3.2.2).
func canonicalCodes(lengths []uint8) []code {
	var count, next [maxCodeBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	codes := make([]code, len(lengths))
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		// Huffman codes are packed from their most significant bit on (section 3.1.1).
		reversed := bits.Reverse16(uint16(next[n])) >> (16 - n)
		codes[symbol] = code(reversed) | code(n)<<24
		next[n]++
	}
	return codes
}

// parcel is a coin or a package of the package-merge algorithm.
type parcel struct {
	weight      int
	symbol      int // if left is nil
	left, right *parcel
}

// codeLengths returns for each symbol the length of its code, at most limit, so that the weighted sum of the lengths is the
// least possible; 0 for a symbol without weight. A single symbol gets the length 1. It is the package-merge algorithm of
// Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990.
func codeLengths(weights []int, limit int) []uint8 {
	lengths := make([]uint8, len(weights))
	var coins []*parcel
	for symbol, w := range weights {
		if w > 0 {
			coins = append(coins, &parcel{weight: w, symbol: symbol})
		}
	}
	if len(coins) == 1 {
		lengths[coins[0].symbol] = 1
		return lengths
	}
	slices.SortStableFunc(coins, func(a, b *parcel) int { return cmp.Compare(a.weight, b.weight) })
	var packages []*parcel
	for range limit {
		packages = packPairs(mergeParcels(coins, packages))
	}
	for _, p := range packages[:min(len(packages), max(len(coins)-1, 0))] {
		p.count(lengths)
	}
	return lengths
}

// packPairs packs the parcels two by two; an odd one is left out.
func packPairs(all []*parcel) []*parcel {
	packages := make([]*parcel, 0, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		packages = append(packages, &parcel{weight: all[i].weight + all[i+1].weight, left: all[i], right: all[i+1]})
	}
	return packages
}

// mergeParcels merges two ascending lists. Of equal weights coins come first.
func mergeParcels(coins, packages []*parcel) []*parcel {
	all := make([]*parcel, 0, len(coins)+len(packages))
	for len(coins) > 0 && len(packages) > 0 {
		if coins[0].weight <= packages[0].weight {
			all, coins = append(all, coins[0]), coins[1:]
		} else {
			all, packages = append(all, packages[0]), packages[1:]
		}
	}
	return append(append(all, coins...), packages...)
}

// count adds one to the length of each symbol for each coin of it in the parcel.
func (p *parcel) count(lengths []uint8) {
	if p.left == nil {
		lengths[p.symbol]++
		return
	}
	p.left.count(lengths)
	p.right.count(lengths)
}
