package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/zstats/zstats/test/corpus"
)

// recorder is a target that remembers what it exposed.
type recorder struct {
	server *httptest.Server

	mu     sync.Mutex // guards bodies
	bodies [][]byte
}

// exposed returns all expositions so far, in order.
func (r *recorder) exposed() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.bodies...)
}

func (r *recorder) record(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, body)
}

func (r *recorder) host() string { return strings.TrimPrefix(r.server.URL, "http://") }

func (r *recorder) serve(t *testing.T, h http.Handler) *recorder {
	r.server = httptest.NewServer(h)
	t.Cleanup(r.server.Close)
	return r
}

// recordingProxy stands in front of a real target.
func recordingProxy(t *testing.T, target string) *recorder {
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	r := new(recorder)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(u)
			p.Out.Header.Del("Accept-Encoding") // what is recorded must be readable
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			r.record(body)
			resp.Body = io.NopCloser(strings.NewReader(string(body)))
			return nil
		},
	}
	return r.serve(t, proxy)
}

// replayedTarget exposes recorded scrapes, each once, and then fails.
func replayedTarget(t *testing.T, expositions []corpus.Exposition) *recorder {
	r := new(recorder)
	return r.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := len(r.exposed())
		if n >= len(expositions) {
			http.Error(w, "all was exposed", http.StatusServiceUnavailable)
			return
		}
		r.record(expositions[n].Body)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(expositions[n].Body) // a scraper that hangs up fails the test by what is missing
	}))
}
