package event

import (
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/scrape"
)

// TestRequeuedSubject: a requeued scrape is read with its partition and belongs to its target, but is not its target's state.
func TestRequeuedSubject(t *testing.T) {
	for _, target := range []scrape.Target{
		{Account: "acme", Name: "10.0.0.1:9100.node"},
		{Account: "a.b", Source: "east", Name: "x *>"},
		{Account: "acme", Name: strings.Repeat("long.", 100)},
	} {
		subject := RequeuedSubject(target, 8, "r17", 3)
		letter, k, ok := Requeued(subject)
		if letter != "r17" || k != 3 || !ok {
			t.Errorf("%s: letter %q, blob %d, %v", subject, letter, k, ok)
		}
		if p, ok := Partition(subject); p != target.Partition(8) || !ok {
			t.Errorf("%s: partition %d, %v", subject, p, ok)
		}
		for _, pattern := range []string{RequeuedScrapes(target, 8), ScrapePartition(target.Partition(8))} {
			if !strings.HasPrefix(subject, strings.TrimSuffix(pattern, ">")) {
				t.Errorf("%s doesn't match %s", subject, pattern)
			}
		}
		for _, other := range []string{
			ScrapeSubject(target, 8), EventSubject(target, 8), RawSubject(target, 8), strings.TrimSuffix(subject, "3") + "x", subject + ".1",
		} {
			if letter, _, ok := Requeued(other); ok {
				t.Errorf("%s is taken for one of letter %s", other, letter)
			}
		}
	}
}
