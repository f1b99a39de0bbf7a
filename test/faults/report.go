package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/test/judge"
)

// report prints the outcome. An error says that something is wrong.
func (t *trial) report(r checker.Report) error {
	fmt.Fprintf(t.out, "\n%-16s  %6s  %8s  %s\n", "fault", "times", "measured", "until every target flows again: median, longest")
	for _, k := range []kind{kill, killAll, pause, terminate, noRoom, fullLog, fullFiles, garbage} {
		if t.done[k] == 0 {
			continue
		}
		n, median, longest := t.flow.Times(string(k))
		fmt.Fprintf(t.out, "%-16s  %6d  %8d  %s, %s\n", k, t.done[k], n, median.Round(10*time.Millisecond), longest.Round(10*time.Millisecond))
	}
	all := judge.Total(t.collectors)
	fmt.Fprintf(t.out, "\n%d requests, %d kept and sent again, %d repeated, %d answers given up, %d blobs asked for in full\n",
		all.Requests, all.Kept, all.Repeated, all.GivenUp, all.Resent)
	events, again, gaps := t.named.Counts()
	fmt.Fprintf(t.out, "the consumer with a name got %d events, %d times one again, %d gaps\n", events, again, gaps)
	events, again, failed, away := t.pushed.Counts()
	fmt.Fprintf(t.out, "the downstream service was told of %d events, %d times of one again; it failed %d calls and was away %d times\n", events, again, failed, away)
	fmt.Fprintf(t.out, "lost %d, duplicated %d, changed %d\n", r.Count(checker.Lost), r.Count(checker.Duplicated), r.Count(checker.Changed))
	fmt.Fprintln(t.out, r)
	for _, wrong := range all.Wrong {
		t.failures = append(t.failures, "a wrong answer: "+wrong)
	}
	for _, f := range t.failures {
		fmt.Fprintln(t.out, "failure:", f)
	}
	if !r.OK() || len(t.failures) > 0 {
		return errors.New("something is wrong, see above")
	}
	return nil
}

// reportDead prints why blobs are in the dead letters, apart for targets that two collectors share by mistake.
func (t *trial) reportDead(all []checker.Dead) {
	counts := make(map[string]int)
	for _, d := range all {
		whose := "one collector's"
		switch {
		case d.Opaque && t.planted[d.RawSequence]:
			whose = "planted"
		case strings.HasPrefix(d.Target.Name, sharedPrefix):
			whose = "of a name that two collectors share"
		}
		counts[d.Reason+", "+whose]++
	}
	fmt.Fprintln(t.out, "\ndead letters:")
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(t.out, "  %5d  %s\n", counts[why], why)
	}
}
