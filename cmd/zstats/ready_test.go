package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReady(t *testing.T) {
	answer := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/ready" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("log: no leader\n"))
	}))
	defer server.Close()
	var out strings.Builder
	f := readyFlags{adminAddr: strings.TrimPrefix(server.URL, "http://"), timeout: time.Minute}
	if err := f.run(t.Context(), &out); err != nil || out.String() != "ready\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	answer = http.StatusServiceUnavailable
	if err := f.run(t.Context(), &out); err == nil || !strings.HasSuffix(err.Error(), "503 Service Unavailable: log: no leader") {
		t.Errorf("error %v, want the reason", err)
	}
	f.url = server.URL + "/elsewhere"
	if err := f.run(t.Context(), &out); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want one of the other URL", err)
	}
	server.Close()
	if err := f.run(t.Context(), &out); err == nil {
		t.Error("ready, but nobody is there")
	}
}

func TestReadyURL(t *testing.T) {
	for addr, want := range map[string]string{
		":9907":          "http://127.0.0.1:9907/-/ready",
		"0.0.0.0:9907":   "http://127.0.0.1:9907/-/ready",
		"[::]:9907":      "http://127.0.0.1:9907/-/ready",
		"10.0.0.1:1":     "http://10.0.0.1:1/-/ready",
		"localhost:9907": "http://localhost:9907/-/ready",
	} {
		if got, err := readyURL(addr); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", addr, got, err, want)
		}
	}
	if _, err := readyURL("9907"); err == nil || !isUsage(usage(err)) {
		t.Errorf("no port: %v", err)
	}
}
