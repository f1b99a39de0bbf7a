package checker

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
)

// TestPlantedOnDisk plants faults in real files and a real ledger.
func TestPlantedOnDisk(t *testing.T) {
	at := func(g int) archive.Paths { return archive.ScrapePaths(target, 1000+int64(g)) }
	edit := func(t *testing.T, w *world, name string, f func([]byte) []byte) {
		t.Helper()
		path := filepath.Join(w.dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(old, with string) func([]byte) []byte {
		return func(data []byte) []byte { return bytes.ReplaceAll(data, []byte(old), []byte(with)) }
	}
	// again writes scrape 4 with a change.
	again := func(t *testing.T, w *world, change func(*scrape.State)) {
		t.Helper()
		st := *w.states[4]
		st.Values, st.Stamps = slices.Clone(st.Values), slices.Clone(st.Stamps)
		change(&st)
		w.write(t, &st)
	}
	tests := []struct {
		name  string
		plant func(*testing.T, *world)
		want  []Kind
	}{
		{"nothing", func(*testing.T, *world) {}, nil},
		{"a lost scrape", func(t *testing.T, w *world) { remove(t, w, at(4).Dir) }, []Kind{Lost}},
		{"a lost data file", func(t *testing.T, w *world) { remove(t, w, at(4).Data) }, []Kind{Lost, Torn}},
		{"a lost metadata file", func(t *testing.T, w *world) { remove(t, w, at(4).Metadata) }, []Kind{Lost, Torn}},
		{"a cut data file", func(t *testing.T, w *world) {
			edit(t, w, at(4).Data, func(data []byte) []byte { return data[:len(data)-5] })
		}, []Kind{Lost, Torn}},
		{"a flipped bit", func(t *testing.T, w *world) {
			edit(t, w, at(4).Data, func(data []byte) []byte { data[len(data)/2] ^= 4; return data })
		}, []Kind{Lost, Torn}},
		{"a cut metadata file", func(t *testing.T, w *world) {
			edit(t, w, at(4).Metadata, func(data []byte) []byte { return data[:len(data)/2] })
		}, []Kind{Lost, Torn}},
		{"another number of samples", func(t *testing.T, w *world) {
			edit(t, w, at(4).Metadata, replace(`"samples":5`, `"samples":6`))
		}, []Kind{Lost, Torn}},
		{"metadata of another target", func(t *testing.T, w *world) {
			edit(t, w, at(4).Metadata, replace(`"iid":"h:1.j"`, `"iid":"h:2.j"`))
		}, []Kind{Lost, Misplaced}},
		{"another value", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Values[1] = 0.1000000000000001 })
		}, []Kind{Changed}},
		{"a value that is inferred", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Values[1], st.Inferred = 0.1000000000000001, []int32{1} })
		}, nil},
		{"another value beside one that is inferred", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Values[1], st.Values[3], st.Inferred = 0.2, 3, []int32{1} })
		}, []Kind{Changed}},
		{"another time of a sample", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Stamps[0].Time = 78; st.Inferred = []int32{1} })
		}, []Kind{Changed}},
		{"another time of the scrape", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Time++ })
		}, []Kind{Changed}},
		{"a scrape twice", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Epoch = 2000 })
		}, []Kind{Duplicated}},
		{"a scrape that nobody sent", func(t *testing.T, w *world) {
			again(t, w, func(st *scrape.State) { st.Epoch, st.Generation = 2000, 7 })
		}, []Kind{Unexplained}},
		{"an epoch before that of the scrape before", func(t *testing.T, w *world) {
			remove(t, w, at(4).Dir)
			again(t, w, func(st *scrape.State) { st.Epoch = 900 })
		}, []Kind{OutOfOrder}},
		{"a stray file", func(t *testing.T, w *world) {
			if err := os.WriteFile(filepath.Join(w.dir, "stray"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, []Kind{Unexplained}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.plant(t, w)
			report := Compare(w.run(t))
			var got []Kind
			for _, f := range report.Findings {
				got = append(got, f.Kind)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, report)
			}
		})
	}
}

func remove(t *testing.T, w *world, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(w.dir, name)); err != nil {
		t.Fatal(err)
	}
}
