package expo

// zeros is how most values end: AppendValue writes whole numbers so.
const zeros = ".000000"

// valueWeights returns about how often each character is written in a value without its zeros, by 64 values, measured on node
// exporters, Prometheus servers and synthetic targets. It has every character of a value and of a sample's time.
func valueWeights() [endOfBlock]int {
	var w [endOfBlock]int
	for i, n := range [10]int{70, 36, 19, 16, 16, 17, 16, 16, 14, 15} {
		w['0'+i] = n
	}
	w['.'], w['-'], w['e'], w['+'] = 8, 4, 4, 1
	for _, c := range "NaInf " {
		w[c] = 1
	}
	return w
}

// zerosWeight is how often, by 64 values, zeros are written: most values end with them, but many repeat another one.
const zerosWeight = 26

// zerosBits returns zeros as a point, a zero, and a match that repeats it: fewer bits than seven literals. With codes so long
// that an op can't hold them it returns none.
func zerosBits(literals, distances []code) (v uint64, n uint) {
	var b opBuilder
	b.putCode(literals['.'])
	b.putCode(literals['0'])
	symbol, _, _ := lengthSymbol(len(zeros) - 2)
	b.putCode(literals[symbol])
	b.putCode(distances[0])
	if b.n == 0 || len(b.ops) > 0 {
		return 0, 0
	}
	return b.bits, b.n
}
