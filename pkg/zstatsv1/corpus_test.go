package zstatsv1

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/scrape"
)

// exposition reads a text exposition as plain as node_exporter's: no escapes, no timestamps.
func exposition(t testing.TB, file string) *Instance {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := &Instance{Instance: "node:9100.node", Gen: 1, GTs: 1_000_000}
	help, typ := "", "gauge"
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch words := strings.SplitN(line, " ", 4); words[1] {
		case "HELP":
			help = words[3]
		case "TYPE":
			typ = words[3]
		default:
			s := exposed(t, line)
			s.Idx, s.Help, s.Type, s.Ts = int32(in.NSamples), help, typ, in.GTs
			in.Samples = append(in.Samples, s)
			in.NSamples++
		}
	}
	return in
}

// exposed parses one line, and adds the labels that the scrape configuration would add.
func exposed(t testing.TB, line string) (s Sample) {
	t.Helper()
	at := strings.LastIndexByte(line, ' ')
	series, value := line[:at], line[at+1:]
	var err error
	if s.Val, err = strconv.ParseFloat(value, 64); err != nil {
		t.Fatal(err)
	}
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	s.Ls = []Label{{Name: scrape.MetricName, Value: name}}
	for pair := range strings.SplitSeq(labels, `",`) {
		if name, value, ok := strings.Cut(pair, `="`); ok {
			s.Ls = append(s.Ls, Label{Name: name, Value: strings.TrimSuffix(value, `"`)})
		}
	}
	s.Ls = append(s.Ls, Label{Name: "instance", Value: "node:9100"}, Label{Name: "job", Value: "node"})
	return s
}

// difference returns the incremental blob that leads from before to after.
func difference(before, after *Instance) *Instance {
	in := &Instance{Instance: after.Instance, NSamples: after.NSamples, IsIncr: true, Gen: before.Gen + 1, GTs: after.GTs + 5000}
	for i := range after.Samples {
		if b, a := &before.Samples[i], &after.Samples[i]; a.Val != b.Val {
			in.Samples = append(in.Samples, Sample{Idx: int32(i), Ts: 5000, Val: a.Val - b.Val})
		}
	}
	return in
}

func nodeScrapes(t testing.TB) (full, incremental *Instance) {
	t.Helper()
	before, after := exposition(t, "testdata/node-1.txt"), exposition(t, "testdata/node-2.txt")
	return before, difference(before, after)
}

// wideScrape makes a full scrape like that of a large cluster's state: one label with many values, some that repeat.
func wideScrape(series int) *Instance {
	in := &Instance{Instance: "ksm:8080.ksm", NSamples: series, Gen: 1, GTs: 1_000_000, OLabels: []string{"instance", "job"}}
	in.Samples = make([]Sample, series)
	helps, names := numbered("State number %d of the pods in the cluster.", 100), numbered("kube_pod_state_%d", 100)
	teams, pods := numbered("team-%d", 17), numbered("service-%[1]d-5f7c9d8b6-x%[1]dk", 3000)
	for i := range in.Samples {
		family := i * 100 / series
		in.Samples[i] = Sample{
			Idx:  int32(i),
			Help: helps[family],
			Type: "gauge",
			Ts:   in.GTs,
			Val:  float64(i%7) * 1.1,
			Ls: []Label{
				{Name: scrape.MetricName, Value: names[family]},
				{Name: "instance", Value: "ksm:8080"},
				{Name: "job", Value: "ksm"},
				{Name: "namespace", Value: teams[i%17]},
				{Name: "pod", Value: pods[i%3000]},
			},
		}
	}
	return in
}

func numbered(format string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

func repeat(in *Instance, n int) []Instance {
	all := make([]Instance, n)
	for i := range all {
		all[i] = *in
		all[i].Instance = fmt.Sprintf("node-%d:9100.node", i)
	}
	return all
}
