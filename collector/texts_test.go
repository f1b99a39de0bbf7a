package collector

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/zstats/zstats/test/corpus"
)

// counting exposes a counter that counts scrapes, and a constant.
func counting(n int) string {
	return fmt.Sprintf("# HELP scrapes_total Scrapes.\n# TYPE scrapes_total counter\nscrapes_total %d\nup{a=\"b\"} 1\n", n)
}

// recorded exposes recorded scrapes, again and again.
func recorded(t testing.TB, read func() ([]corpus.Exposition, error)) func(n int) string {
	all, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return func(n int) string { return string(all[n%len(all)].Body) }
}

// random exposes metrics of every kind, with values, times, series and HELP that change now and then.
func random(seed int64) func(n int) string {
	r := rand.New(rand.NewSource(seed))
	counter, walk, series, help := 0.0, 0.1, 3, "Help."
	return func(int) string {
		counter += float64(r.Intn(3))
		walk += r.NormFloat64()
		if r.Intn(12) == 0 {
			series = 1 + r.Intn(6)
		}
		if r.Intn(20) == 0 {
			help += "."
		}
		var b strings.Builder
		fmt.Fprintf(&b, "# HELP c_total %s\n# TYPE c_total counter\nc_total %v\n", help, counter)
		fmt.Fprintf(&b, "# TYPE walk gauge\nwalk %v\n", walk)
		for i := range series {
			fmt.Fprintf(&b, "g{i=\"%d\"} %s%s\n", i, odd(r), stamp(r))
		}
		return b.String()
	}
}

// odd returns a value, often one that is hard to send as a difference.
func odd(r *rand.Rand) string {
	values := []string{"0", "-0", "NaN", "+Inf", "-Inf", "1e300", "-1e300", "5e-324", "0.1", "3", "1", "1"}
	if i := r.Intn(3 * len(values)); i < len(values) {
		return values[i]
	}
	return fmt.Sprint(float64(r.Intn(100)) / 8)
}

func stamp(r *rand.Rand) string {
	if r.Intn(10) > 0 {
		return ""
	}
	return fmt.Sprintf(" %d", 1_700_000_000_000+r.Intn(1000))
}
