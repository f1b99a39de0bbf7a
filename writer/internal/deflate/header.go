package deflate

// putHeader writes the header of a block with dynamic Huffman codes (RFC 1951, section 3.2.7). It is the stream's last block.
func putHeader(w *bitWriter, literals, distances []code) {
	lengths := make([]uint8, 0, literalCodes+distanceCodes)
	for _, c := range literals {
		lengths = append(lengths, c.length)
	}
	for _, c := range distances {
		lengths = append(lengths, c.length)
	}
	steps := runLengths(lengths)
	weights := make([]int, 19)
	for _, s := range steps {
		weights[s.symbol]++
	}
	lengthCodes := codes(weights, 7)
	// The order in which the lengths of these codes are written.
	order := [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	n := len(order)
	for lengthCodes[order[n-1]].length == 0 && n > 4 {
		n--
	}
	w.put(1, 1)
	w.put(2, 2)
	w.put(uint64(len(literals)-257), 5)
	w.put(uint64(len(distances)-1), 5)
	w.put(uint64(n-4), 4)
	for _, symbol := range order[:n] {
		w.put(uint64(lengthCodes[symbol].length), 3)
	}
	for _, s := range steps {
		c := lengthCodes[s.symbol]
		w.put(c.bits, uint(c.length))
		w.put(uint64(s.extra), uint(s.n))
	}
}

// runLength is a symbol of the alphabet in which lengths of codes are written, with its extra bits.
type runLength struct {
	symbol uint8
	extra  uint8
	n      uint8
}

// runLengths writes lengths of codes with symbols that stand for one length (0 to 15), for 3 to 6 repetitions of the last
// one (16), and for 3 to 10 (17) or 11 to 138 (18) zeros.
func runLengths(lengths []uint8) []runLength {
	var steps []runLength
	for i := 0; i < len(lengths); {
		same := 1
		for i+same < len(lengths) && lengths[i+same] == lengths[i] {
			same++
		}
		i += same
		length := lengths[i-1]
		if length != 0 {
			steps = append(steps, runLength{symbol: length})
			same--
		}
		for same > 0 {
			n := same
			switch {
			case same < 3:
				steps = append(steps, runLength{symbol: length})
				n = 1
			case length != 0:
				n = min(same, 6)
				steps = append(steps, runLength{symbol: 16, extra: uint8(n - 3), n: 2})
			case same <= 10:
				steps = append(steps, runLength{symbol: 17, extra: uint8(n - 3), n: 3})
			default:
				n = min(same, 138)
				steps = append(steps, runLength{symbol: 18, extra: uint8(n - 11), n: 7})
			}
			same -= n
		}
	}
	return steps
}
