package table_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/table"
)

func columns() []table.Column {
	return []table.Column{{Title: "ACCOUNT", Min: 4}, {Title: "TARGET", Min: 10, KeepEnd: true}, {Title: "SAMPLES", Right: true}}
}

func rows() [][]string {
	return [][]string{
		{"acme", "10.0.0.1:9100.node", "532"},
		{"a-rather-long-account", "ip-10-122-33-144.eu-west-1.compute.internal:9100.node", "1138"},
		{"ü", "evil\x1b[2J\nname", "7"},
	}
}

func TestWrite(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       table.Options
		columns []table.Column
		rows    [][]string
		want    string
	}{
		{"a pipe", table.Options{}, columns(), rows(), `
ACCOUNT                TARGET                                                 SAMPLES
acme                   10.0.0.1:9100.node                                         532
a-rather-long-account  ip-10-122-33-144.eu-west-1.compute.internal:9100.node     1138
ü                      evil�[2J�name                                                7
`},
		{"60 wide", table.Options{Width: 60}, columns(), rows(), `
ACCOUNT                TARGET                        SAMPLES
acme                   10.0.0.1:9100.node                532
a-rather-long-account  ….compute.internal:9100.node     1138
ü                      evil�[2J�name                       7
`},
		{"colours", table.Options{Color: true}, columns(), rows()[:1], `
` + "\x1b[2mACCOUNT  TARGET              SAMPLES\x1b[0m" + `
acme     10.0.0.1:9100.node      532
`},
		{"no titles", table.Options{Width: 80}, []table.Column{{}, {Right: true}}, [][]string{{"a", "1"}, {"bcd", "10"}}, `
a     1
bcd  10
`},
		{"cut in the middle", table.Options{Width: 16}, []table.Column{{Min: 8, KeepBoth: true}, {Right: true}}, [][]string{{"abcdefghijklmnop", "1"}, {"short", "22"}}, `
abcde…klmnop   1
short         22
`},
		{"no rows", table.Options{Width: 80}, columns(), nil, `
ACCOUNT  TARGET  SAMPLES
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			c.o.Out = &out
			if err := table.Write(c.o, c.columns, c.rows); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// No line is wider than the terminal, from the narrowest on that holds the columns at all.
func TestFits(t *testing.T) {
	const narrowest = 4 + 2 + 10 + 2 + 7
	for width := narrowest; width <= 120; width++ {
		var out bytes.Buffer
		if err := table.Write(table.Options{Out: &out, Width: width}, columns(), rows()); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Fatalf("at width %d a line has %d characters:\n%s", width, n, line)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	in := map[string]string{"k": "a<b>\x1b\u202eü\U000e0001"}
	if err := table.JSON(&out, in); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `{"k":"a<b>\u001b\u202eü\udb40\udc01"}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	back := map[string]string{}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["k"] != in["k"] {
		t.Errorf("reads back as %q, %v", back, err)
	}
	if err := table.JSON(&out, math.NaN()); err == nil {
		t.Error("NaN is taken")
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 4_000_000_000: "4.0 GB", math.MaxUint64: "18 EB",
	} {
		if got := table.Size(n); got != want {
			t.Errorf("Size(%d) is %q, want %q", n, got, want)
		}
	}
}
