package collector

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/scrape"
)

// Real sockets with TLS on both sides, and the clock of the machine.
func TestOverTLS(t *testing.T) {
	const enough = 5
	server := newTestServer(t)
	reached := make(chan struct{})
	server.constant = func(x *exchange) {
		answerNormally(x)
		for _, list := range x.rebuilt {
			if len(list) >= enough && reached != nil {
				close(reached)
				reached = nil
			}
		}
	}
	done := reached
	target := &testTarget{text: counting}
	ingest, exporter := httptest.NewTLSServer(server), httptest.NewTLSServer(target)
	defer ingest.Close()
	defer exporter.Close()
	c, err := New(Options{
		Server: ingest.URL, Token: testToken, Targets: []Target{{Job: "job", URL: exporter.URL}},
		Interval: 20 * time.Millisecond, Flush: time.Millisecond, Client: ingest.Client(), ScrapeClient: exporter.Client(),
		Labels: []scrape.Label{{Name: "cluster", Value: "east"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-done
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	name := strings.TrimPrefix(exporter.URL, "https://") + ".job"
	for i, got := range server.rebuilt[name] {
		// The stop may have cut the last scrape off, so there may be one more that was said.
		if want := float64(i); got.scrape.Values[0] != want {
			t.Errorf("scrape %d has the value %v", i, got.scrape.Values[0])
		}
	}
	if labels := server.rebuilt[name][0].schema.OptionalLabels; strings.Join(labels, " ") != "cluster instance job" {
		t.Errorf("optional labels are %v", labels)
	}
}

// The certificate of a stranger is refused, and everything is kept.
func TestUnknownAuthority(t *testing.T) {
	server, target := newTestServer(t), &testTarget{text: counting}
	tried := make(chan struct{}, 100)
	ingest := httptest.NewUnstartedServer(server)
	ingest.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	ingest.StartTLS()
	defer ingest.Close()
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target.ServeHTTP(w, r)
		tried <- struct{}{}
	}))
	defer exporter.Close()
	c, err := New(Options{
		Server: ingest.URL, Token: testToken, Targets: []Target{{Job: "job", URL: exporter.URL}},
		Interval: 20 * time.Millisecond, Flush: time.Millisecond, StopTimeout: time.Millisecond, BufferDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for range 5 {
		<-tried
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(server.requests) > 0 {
		t.Error("a request went to a server that nobody vouches for")
	}
	if stats := c.queue.stats(); stats.files != 1 {
		t.Errorf("the buffer has %d files", stats.files)
	}
}
