package scrape

import (
	"fmt"
	"testing"
)

// The expected numbers were computed by another implementation and are part of the log's format.
func TestPartition(t *testing.T) {
	tests := []struct {
		target            Target
		of64, of7, of1024 int
	}{
		{Target{"", "", ""}, 15, 3, 527},
		{Target{"Zebrium", "", "192.168.120.51:9100.prometheus"}, 57, 5, 185},
		{Target{"default", "", "localhost:9090.prometheus"}, 34, 2, 930},
		{Target{"default", "eu-1", "localhost:9090.prometheus"}, 61, 0, 637},
		{Target{"acme", "", "10.0.0.1:9100.node"}, 1, 2, 129},
		{Target{"acme", "", "10.0.0.2:9100.node"}, 27, 5, 219},
		{Target{"acme1", "", "0.0.0.2:9100.node"}, 0, 1, 512},
		{Target{"acme", "prod", "[fd00::1]:9100.node"}, 7, 2, 327},
		{Target{"äccount", "ß", "日本:1.ジョブ"}, 63, 1, 511},
		{Target{"a", " b", "c"}, 10, 4, 970},
		{Target{"a", "", "https://example.com/a/b.blackbox"}, 19, 3, 211},
	}
	for _, test := range tests {
		for n, want := range map[int]int{64: test.of64, 7: test.of7, 1024: test.of1024, 1: 0} {
			if got := test.target.Partition(n); got != want {
				t.Errorf("%v.Partition(%d) = %d, want %d", test.target, n, got, want)
			}
		}
	}
}

// Ten thousand targets of one account, as an address plan numbers them, fill the partitions like random ones would:
// chi-squared with 63 degrees of freedom exceeds 103.4 once in a thousand such draws. The names are fixed, so the result
// is too.
func TestPartitionSpread(t *testing.T) {
	const targets, partitions = 10_000, 64
	plans := map[string]func(i int) string{
		"nodes":     func(i int) string { return fmt.Sprintf("10.%d.%d.%d:9100.node", i>>12, i>>6&63, i&63) },
		"pods":      func(i int) string { return fmt.Sprintf("10.244.%d.%d:8080.kubernetes-pods", i/250, i%250) },
		"names":     func(i int) string { return fmt.Sprintf("web-%05d.eu-west-1.example.com:443.blackbox", i) },
		"ports":     func(i int) string { return fmt.Sprintf("localhost:%d.app", 20_000+i) },
		"cadvisors": func(i int) string { return fmt.Sprintf("node-%d.kubernetes-cadvisor", i) },
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			var count [partitions]float64
			for i := range targets {
				count[Target{Account: "acme", Name: plan(i)}.Partition(partitions)]++
			}
			chi2, expected := 0.0, float64(targets)/partitions
			for _, n := range count {
				chi2 += (n - expected) * (n - expected) / expected
			}
			if chi2 > 103.4 {
				t.Errorf("chi-squared is %.1f: %v", chi2, count)
			}
		})
	}
}

func TestPartitionAllocatesNothing(t *testing.T) {
	target := Target{"acme", "eu", "10.0.0.1:9100.node"}
	sum := 0
	if n := testing.AllocsPerRun(100, func() { sum += target.Partition(64) }); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTargetString(t *testing.T) {
	for want, target := range map[string]Target{
		"acme/h:1.j":     {"acme", "", "h:1.j"},
		"acme/@eu/h:1.j": {"acme", "eu", "h:1.j"},
	} {
		if got := target.String(); got != want {
			t.Errorf("%#v is %q, want %q", target, got, want)
		}
	}
}
