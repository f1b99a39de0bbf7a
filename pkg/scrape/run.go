package scrape

// Run is a range of consecutive generations of one target, both ends included.
type Run struct{ First, Last int64 }

// Contains reports whether generation g lies in the run.
func (r Run) Contains(g int64) bool { return r.First <= g && g <= r.Last }

// MaxRuns is how many of a target's last runs a State remembers.
const MaxRuns = 32

// Follows reports whether generation g comes directly after generation last.
func Follows(last, g int64) bool { return last < g && last == g-1 }

// contains reports whether generation g lies in any of runs.
func contains(runs []Run, g int64) bool {
	for _, r := range runs {
		if r.Contains(g) {
			return true
		}
	}
	return false
}

// withGeneration returns runs after generation g, which lies in none of them, was accepted. The runs that g touches
// become one with it, which is the last; the oldest runs give way when there are more than MaxRuns.
func withGeneration(runs []Run, g int64) []Run {
	grown := Run{g, g}
	out := make([]Run, 0, len(runs)+1)
	for _, r := range runs {
		switch {
		case Follows(r.Last, g):
			grown.First = min(grown.First, r.First)
		case Follows(g, r.First):
			grown.Last = max(grown.Last, r.Last)
		default:
			out = append(out, r)
		}
	}
	out = append(out, grown)
	return out[max(0, len(out)-MaxRuns):]
}
