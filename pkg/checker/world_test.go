package checker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a directory of files, and the ledger of what was sent to have them written.
type world struct {
	dir    string
	ledger string
	schema *scrape.Schema
	states []*scrape.State
}

// newWorld writes ten scrapes of the target as a writer does, and a ledger in which all of them are acknowledged.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), ledger: filepath.Join(t.TempDir(), "ledger"), schema: new(scrape.Schema)}
	for i := range 5 {
		w.schema.Series = append(w.schema.Series, scrape.Series{Type: "gauge", Help: "A metric.", Labels: []scrape.Label{
			{Name: scrape.MetricName, Value: fmt.Sprintf("m%d", i)}, {Name: "job", Value: "j"},
		}})
	}
	ledger, err := OpenLedger(w.ledger)
	if err != nil {
		t.Fatal(err)
	}
	for g := range int64(10) {
		st := &scrape.State{Scrape: scrape.Scrape{
			Generation: 100 + g, Time: 5000 + g, Epoch: 1000 + g, Received: 1000 + g, Schema: w.schema.Hash(),
			Values: []float64{float64(g), 0.1, 1e300, 4, 5}, Stamps: []scrape.Stamp{{Index: 2, Time: 77}},
		}}
		w.states = append(w.states, st)
		if err := ledger.Sent(Describe(scrape.Target{Name: target.Name}, w.schema, &st.Scrape)); err != nil {
			t.Fatal(err)
		}
		if err := ledger.Answered(scrape.Target{Name: target.Name}, st.Generation, 0); err != nil {
			t.Fatal(err)
		}
		w.write(t, st)
	}
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) write(t *testing.T, st *scrape.State) {
	t.Helper()
	template := expo.NewTemplate(w.schema)
	data, _, err := template.AppendGzip(nil, &st.Scrape, new(expo.Compressor))
	if err != nil {
		t.Fatal(err)
	}
	w.put(t, archive.ScrapePaths(target, st.Epoch), archive.NewMetadata(target, st, template).Append(nil), data)
}

func (w *world) put(t *testing.T, p archive.Paths, metadata, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, p.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{p.Metadata: metadata, p.Data: data} {
		if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run reads everything as `zstats check` does.
func (w *world) run(t *testing.T) Run {
	t.Helper()
	file, err := os.Open(w.ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	noted, err := ReadLedger(file, scrape.Target{Account: target.Account}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Run{Sent: noted.Sent, Written: Tree(os.DirFS(w.dir))}
}
