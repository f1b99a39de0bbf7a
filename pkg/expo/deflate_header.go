package expo

import "slices"

// putHeader puts a block's header: whether it is the last, that it has dynamic Huffman codes, and the lengths of its codes
// (RFC 1951, section 3.2.7).
func (b *opBuilder) putHeader(last bool, literals, distances []uint8) {
	runs := lengthRuns(slices.Concat(literals, distances))
	weights := make([]int, codeLengthCodes)
	for _, r := range runs {
		weights[r.symbol]++
	}
	lengths := codeLengths(weights, maxCodeLengthLen)
	codes := canonicalCodes(lengths)
	// The order in which the lengths of these codes stand.
	order := [codeLengthCodes]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	n := codeLengthCodes
	for n > 4 && lengths[order[n-1]] == 0 {
		n--
	}
	const dynamic = 2
	if last {
		b.put(1, 1)
	} else {
		b.put(0, 1)
	}
	b.put(dynamic, 2)
	b.put(uint64(len(literals)-257), 5)
	b.put(uint64(len(distances)-1), 5)
	b.put(uint64(n-4), 4)
	for _, symbol := range order[:n] {
		b.put(uint64(lengths[symbol]), 3)
	}
	for _, r := range runs {
		b.putCode(codes[r.symbol])
		b.put(uint64(r.extra), uint(r.n))
	}
}

// lengthRun is a symbol of the alphabet in which code lengths are written, with its n extra bits.
type lengthRun struct{ symbol, extra, n uint8 }

// lengthRuns writes code lengths with the symbols 0 to 15 for themselves, 16 for 3 to 6 copies of the one before, and 17
// and 18 for 3 to 10 and 11 to 138 zeros.
func lengthRuns(lengths []uint8) []lengthRun {
	var runs []lengthRun
	for len(lengths) > 0 {
		first, n := lengths[0], 1
		for n < len(lengths) && lengths[n] == first {
			n++
		}
		lengths = lengths[n:]
		if first != 0 {
			runs = append(runs, lengthRun{symbol: first})
			n--
		}
		runs = appendRepeats(runs, first, n)
	}
	return runs
}

// appendRepeats writes n times a length, which unless it is 0 was written before.
func appendRepeats(runs []lengthRun, length uint8, n int) []lengthRun {
	for n >= 3 {
		switch {
		case length != 0:
			k := min(n, 6)
			runs = append(runs, lengthRun{16, uint8(k - 3), 2})
			n -= k
		case n <= 10:
			runs = append(runs, lengthRun{17, uint8(n - 3), 3})
			n = 0
		default:
			k := min(n, 138)
			runs = append(runs, lengthRun{18, uint8(k - 11), 7})
			n -= k
		}
	}
	for range n {
		runs = append(runs, lengthRun{symbol: length})
	}
	return runs
}
