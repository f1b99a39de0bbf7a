package checker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

func readLedger(t *testing.T, path string) (*Noted, error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return ReadLedger(file, scrape.Target{Account: "acme", Source: "eu"}, 3)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLedger notes blobs with every history over two openings of a ledger, the first of which ended in a crash.
func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	blob := func(g int64) Sent {
		return Sent{
			Target: scrape.Target{Name: "h:1.j"}, Generation: g, Time: 5000 + g, Digest: Digest{byte(g)}, Shape: Digest{9},
			Values: []float64{1, 0.1}, Exact: g == 1,
		}
	}
	answer := func(l *Ledger, g int64, code int8) { t.Helper(); must(t, l.Answered(blob(g).Target, g, code)) }
	l, err := OpenLedger(path)
	must(t, err)
	must(t, l.Sent(blob(1), blob(2), blob(3), blob(4)))
	answer(l, 1, 0)
	answer(l, 2, 1)
	must(t, l.Sent(blob(2)))
	answer(l, 2, 0)
	answer(l, 3, 2)
	must(t, l.Close())
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(`{"sent":{"target":"h:1.j","generation":9,"dig`)
	must(t, err)
	must(t, file.Close())

	l, err = OpenLedger(path)
	must(t, err)
	must(t, l.Sent(blob(4), blob(5), blob(5)))
	answer(l, 4, 1)
	answer(l, 5, 1)
	must(t, l.Close())

	noted, err := readLedger(t, path)
	must(t, err)
	if noted.Since == 0 || noted.Torn != 1 {
		t.Errorf("since %d, %d lines torn, want a time and 1", noted.Since, noted.Torn)
	}
	want := []Sent{blob(1), blob(2), blob(3), blob(4), blob(5)}
	for i, k := range []struct {
		answer       Answer
		first, acked int
	}{{Acknowledged, 1, 5}, {Acknowledged, 2, 8}, {Refused, 3, 0}, {Unknown, 4, 0}, {Unknown, 11, 0}} {
		want[i].Target = scrape.Target{Account: "acme", Source: "eu", Name: "h:1.j"}
		want[i].Answer, want[i].First, want[i].Acked, want[i].Ledger = k.answer, k.first, k.acked, 3
	}
	slices.SortFunc(noted.Sent, func(a, b Sent) int { return int(a.Generation - b.Generation) })
	if diff := cmp.Diff(want, noted.Sent); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestReadLedgerRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":                 "",
		"no head":               `{"answer":{"target":"t","generation":1,"code":0}}` + "\n",
		"another version":       `{"ledger":2,"opened_ms":1}` + "\n",
		"no JSON":               "hello\n",
		"damaged in the middle": `{"ledger":1,"opened_ms":1}` + "\n{\"se\n" + `{"answer":{"target":"t","generation":1,"code":0}}` + "\n",
		"odd values":            `{"ledger":1,"opened_ms":1}` + "\n" + `{"sent":{"target":"t","generation":1,"values":"AAAA"}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if n, err := ReadLedger(strings.NewReader(text), scrape.Target{}, 0); err == nil {
				t.Errorf("it is taken for a ledger: %+v", n)
			}
		})
	}
}

// TestLedgerStops checks that nothing is noted behind a write that failed: it could only mislead.
func TestLedgerStops(t *testing.T) {
	l, err := OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	must(t, err)
	must(t, l.file.Close())
	for range 2 {
		if err := l.Sent(Sent{Generation: 1}); err == nil {
			t.Error("no error")
		}
	}
}

func FuzzReadLedger(f *testing.F) {
	f.Add(`{"ledger":1,"opened_ms":1}` + "\n" + `{"sent":{"target":"t","generation":1,"digest":"00","values":"AAAAAAAAAAA="}}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ReadLedger(strings.NewReader(text), scrape.Target{}, 0)
		if (n == nil) == (err == nil) {
			t.Errorf("%v and %v", n, err)
		}
	})
}
