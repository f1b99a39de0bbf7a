package scrape

import (
	"bufio"
	"compress/gzip"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The recorded values of a node_exporter and of a Prometheus server, sent as one full blob and incremental ones: how many
// values are inferred and how many of these are wrong is known for them.
func TestRecordedScrapes(t *testing.T) {
	tests := []struct {
		file             string
		scrapes, samples int
		changed          int // values that were sent as differences
		inferred, wrong  int // of the last scrape
	}{
		{"testdata/node.tsv.gz", 8, 532, 1068, 27, 0},
		{"testdata/prometheus.tsv.gz", 4, 986, 787, 4, 1},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			scrapes := readScrapes(t, test.file)
			if len(scrapes) != test.scrapes || len(scrapes[0].Values) != test.samples {
				t.Fatalf("%d scrapes of %d samples", len(scrapes), len(scrapes[0].Values))
			}
			schema := schemaOf("m", test.samples)
			var st *State
			var changed, wrong int
			for k, s := range scrapes {
				s.Schema = schema.Hash()
				whole := fullOf(schema, s)
				truth, _ := (*State)(nil).Apply(whole, Arrival{Received: int64(k + 1)})
				b := whole
				if k > 0 {
					b = Increment(scrapes[k-1], s)
					changed += len(b.Index)
				}
				st = applyChecked(t, st, b, Arrival{Received: int64(k + 1)}, nil)
				truth.Runs = st.Runs
				wrong = compareWithTruth(t, st, truth)
				if st.Equal(s) != (wrong == 0) {
					t.Errorf("Equal is %v with %d wrong values", st.Equal(s), wrong)
				}
			}
			if changed != test.changed || len(st.Inferred) != test.inferred || wrong != test.wrong {
				t.Errorf("%d values changed, %d are inferred, %d wrong; want %d, %d, %d",
					changed, len(st.Inferred), wrong, test.changed, test.inferred, test.wrong)
			}
		})
	}
}

// readScrapes reads a table with a column for each scrape: its time, then its values as the target wrote them.
func readScrapes(t testing.TB, file string) []*Scrape {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var scrapes []*Scrape
	lines := bufio.NewScanner(text)
	for first := true; lines.Scan(); first = false {
		for k, field := range strings.Split(lines.Text(), "\t") {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			if first {
				scrapes = append(scrapes, &Scrape{Generation: int64(k), Time: int64(v)})
			} else {
				scrapes[k].Values = append(scrapes[k].Values, v)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return scrapes
}
