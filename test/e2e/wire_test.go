package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// wireTarget makes the scrapes of one target as a collector would send them.
type wireTarget struct {
	name       string
	random     *rand.Rand
	schema     *scrape.Schema
	generation int64
	last       *scrape.Scrape
}

// sentScrape is one scrape in both forms, with what it truly is.
type sentScrape struct {
	target      string
	schema      *scrape.Schema
	truth       *scrape.Scrape
	incremental *scrape.Blob // nil for the first of a run
}

func newWireTarget(name string, seed uint64) *wireTarget {
	w := &wireTarget{name: name, random: rand.New(rand.NewPCG(seed, 1)), schema: new(scrape.Schema)}
	for i := range 7 {
		w.schema.Series = append(w.schema.Series, scrape.Series{
			Labels: []scrape.Label{{Name: scrape.MetricName, Value: fmt.Sprintf("metric_%d", i)}, {Name: "job", Value: "j"}},
			Help:   "Help.", Type: "counter",
		})
	}
	w.restart()
	return w
}

// restart begins a new run, as a collector does when it restarts.
func (w *wireTarget) restart() {
	w.generation += 1_000_000_000
	w.last = nil
}

// scrapes returns the next n scrapes.
func (w *wireTarget) scrapes(n int) []*sentScrape {
	all := make([]*sentScrape, n)
	for i := range all {
		truth := &scrape.Scrape{Generation: w.generation, Time: w.generation / 1000, Schema: w.schema.Hash(), Values: make([]float64, len(w.schema.Series))}
		for j := range truth.Values {
			if w.last != nil {
				truth.Values[j] = w.last.Values[j]
			}
			truth.Values[j] += float64(w.random.IntN(3))
		}
		all[i] = &sentScrape{target: w.name, schema: w.schema, truth: truth}
		if w.last != nil {
			all[i].incremental = scrape.Increment(w.last, truth)
			all[i].incremental.Generation = truth.Generation
		}
		w.last = truth
		w.generation++
	}
	return all
}

// full returns the scrape as a full blob.
func (s *sentScrape) full() zstatsv1.Instance {
	b := &scrape.Blob{
		Generation: s.truth.Generation, Time: s.truth.Time, Samples: len(s.truth.Values),
		Schema: s.schema, Values: s.truth.Values, Times: make([]int64, len(s.truth.Values)),
	}
	for i := range b.Times {
		b.Times[i] = s.truth.Time
	}
	return zstatsv1.InstanceOf(s.target, b)
}

// smallest returns the scrape as an incremental blob if it has that form.
func (s *sentScrape) smallest() zstatsv1.Instance {
	if s.incremental == nil {
		return s.full()
	}
	return zstatsv1.InstanceOf(s.target, s.incremental)
}

func fulls(all []*sentScrape) []zstatsv1.Instance {
	var out []zstatsv1.Instance
	for _, s := range all {
		out = append(out, s.full())
	}
	return out
}

func smallests(all []*sentScrape) []zstatsv1.Instance {
	var out []zstatsv1.Instance
	for _, s := range all {
		out = append(out, s.smallest())
	}
	return out
}

func requestBody(instances []zstatsv1.Instance) []byte {
	var z zstatsv1.Compressor
	return z.Append(nil, zstatsv1.AppendRequest(nil, zstatsv1.NewRequest(token, instances)))
}

// wire sends requests and keeps book of them.
type wire struct {
	t    *testing.T
	addr string
	book *checker.Book
}

// note notes that scrapes are about to be sent.
func (w wire) note(all []*sentScrape) {
	for _, s := range all {
		w.book.Sent(checker.Describe(scrape.Target{Account: account, Name: s.target}, s.schema, s.truth))
	}
}

// send posts blobs in the given forms and returns the codes.
func (w wire) send(all []*sentScrape, forms []zstatsv1.Instance) []int8 {
	w.t.Helper()
	w.note(all)
	codes, err := w.post(forms)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, code := range codes {
		w.book.Answered(scrape.Target{Account: account, Name: all[i].target}, all[i].truth.Generation, code)
	}
	return codes
}

func (w wire) post(forms []zstatsv1.Instance) ([]int8, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.addr+"/api/v1/zstats", bytes.NewReader(requestBody(forms)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer %s: %s", resp.Status, data)
	}
	answer, err := zstatsv1.DecodeResponse(data)
	if err != nil {
		return nil, err
	}
	return answer.IErrCodes, answer.Check(len(forms))
}
